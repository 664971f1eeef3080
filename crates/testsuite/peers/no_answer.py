"""Answers the first question and leaves the next one unanswered; prints them, and how that ends.

Arguments: the login name, the first answer, how many seconds to wait at most.
"""

import os
import select
import sys

import paramiko

transport = paramiko.Transport((os.environ["PEER_HOST"], int(os.environ["PEER_PORT"])))
transport.start_client(timeout=20)
transport.auth_timeout = 120


answers = [sys.argv[2]]


def hesitate(title, instructions, prompts):
    for text in [instructions] + [prompt for prompt, _ in prompts]:
        if text:
            print(text)
    if not prompts or answers:
        return [answers.pop() for _ in prompts]
    # What the server says next is its farewell: nobody reads it while this hesitates.
    select.select([transport.sock], [], [], float(sys.argv[3]))
    return ["" for _ in prompts]


try:
    transport.auth_interactive(sys.argv[1], hesitate)
    print("in")
except (paramiko.SSHException, EOFError):
    print("refused")
print("still connected" if transport.is_active() else "hung up")
transport.close()
