"""Authenticates step by step; each argument is a step: `key`, `certificate=...` (a key's file, beside which it is), `password=...`, `answer=...` (to what is asked),
`user=...` (goes on under another name).

Prints what the server says to each, one JSON value a line: {"partial": methods}, {"refused": methods} to a method that is
not among them, "wrong" to one that is, "in" once it is let in, "gone" where the connection has ended."""

import json
import os
import socket
import sys

import paramiko

login = os.environ["PEER_LOGIN"]
key = paramiko.Ed25519Key.from_private_key_file(os.environ["PEER_KEY"])
place = (os.environ["PEER_HOST"], int(os.environ["PEER_PORT"]))


def take(transport, step):
    word, _, value = step.partition("=")
    if word == "key":
        return transport.auth_publickey(login, key)
    if word == "certificate":
        certified = paramiko.Ed25519Key.from_private_key_file(value)
        certified.load_certificate(value + "-cert.pub")
        return transport.auth_publickey(login, certified)
    if word == "password":
        return transport.auth_password(login, value, fallback=False)
    return transport.auth_interactive(login, lambda title, instructions, prompts: [value for _ in prompts])


with paramiko.Transport(socket.create_connection(place, timeout=20)) as transport:
    transport.start_client(timeout=20)
    for step in sys.argv[1:]:
        if step.startswith("user="):
            login = step.partition("=")[2]
            continue
        try:
            methods = take(transport, step)
            said = {"partial": methods} if methods else "in"
        except paramiko.BadAuthenticationType as refused:
            said = {"refused": refused.allowed_types}
        except paramiko.AuthenticationException:
            said = "wrong"
        except (paramiko.SSHException, EOFError):
            said = "gone"
        if not transport.is_active() and said != "in":
            said = "gone"
        print(json.dumps(said))
