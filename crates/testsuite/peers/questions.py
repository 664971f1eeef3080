"""Answers questions with the arguments, then runs `id -un`; prints each question, and what the command printed.

One JSON value a line: [instructions, [[prompt, echo], ...]] for each request, at last the output as a text."""

import json
import os
import socket
import sys

import paramiko

answers = iter(sys.argv[1:])


def handler(title, instructions, prompts):
    print(json.dumps([instructions, prompts]))
    return [next(answers) for _ in prompts]


place = (os.environ["PEER_HOST"], int(os.environ["PEER_PORT"]))
with paramiko.Transport(socket.create_connection(place, timeout=20)) as transport:
    transport.start_client(timeout=20)
    transport.auth_interactive(os.environ["PEER_LOGIN"], handler)
    channel = transport.open_session(timeout=20)
    channel.exec_command("id -un")
    print(json.dumps(channel.makefile().read().decode().strip()))
