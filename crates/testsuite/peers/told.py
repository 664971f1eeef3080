"""Logs in with the login name in the arguments, `\\xNN` for odd characters; prints what it is told."""

import os
import sys

import paramiko

transport = paramiko.Transport((os.environ["PEER_HOST"], int(os.environ["PEER_PORT"])))
transport.start_client(timeout=20)


def answer(title, instructions, prompts):
    print(instructions)
    return ["" for _ in prompts]


try:
    transport.auth_interactive(sys.argv[1].encode().decode("unicode_escape"), answer)
except paramiko.SSHException as refused:
    print(type(refused).__name__)
transport.close()
