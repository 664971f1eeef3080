"""hostile_agent.py HARM PUBLIC-KEY SOCKET COMMAND...: runs the command with an agent that does harm. `mute` never signs, and
the command is killed once it was asked to."""

import base64
import os
import socket
import struct
import subprocess
import sys
import threading

HARM, PUBLIC, SOCKET, *COMMAND = sys.argv[1:]
BLOB = base64.b64decode(open(PUBLIC).read().split()[1])


def string(data):
    return struct.pack(">I", len(data)) + data


def identities(blobs):
    return string(b"\x0c" + struct.pack(">I", len(blobs)) + b"".join(string(blob) + string(b"") for blob in blobs))


LISTS = {
    "endless": lambda: struct.pack(">I", 0xFFFFFFFF) + b"\x0c" + bytes(2_000_000),
    "short": lambda: string(b"\x0c" + struct.pack(">I", 7)),
    "chatty": lambda: identities([BLOB]) * 2,
    "flood": lambda: identities([bytes(1000)] * 250) * 4,
    "junk": lambda: identities([b"junk", b"", bytes(20_000)]),
}
SIGNATURES = {
    "wrong": lambda: string(b"\x0e" + string(string(b"ssh-ed25519") + string(bytes(64)))),
    "other": lambda: string(b"\x0e" + string(string(b"ssh-rsa") + string(bytes(256)))),
}


asked = threading.Event()


def read(client, count):
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def serve(client):
    try:
        while True:
            kind = read(client, struct.unpack(">I", read(client, 4))[0])[0]
            if kind == 11:
                client.sendall(LISTS.get(HARM, lambda: identities([BLOB]))())
            elif HARM == "dies":
                return client.close()
            elif kind == 13 and HARM == "mute":
                asked.set()
            elif kind == 13 and HARM in SIGNATURES:
                client.sendall(SIGNATURES[HARM]())
            else:
                client.sendall(string(b"\x05"))
    except (EOFError, OSError):
        client.close()


listener = socket.socket(socket.AF_UNIX)
listener.bind(SOCKET)
listener.listen()


def accept():
    while True:
        threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
running = subprocess.Popen(COMMAND, env={**os.environ, "SSH_AUTH_SOCK": SOCKET})
threading.Thread(target=lambda: (asked.wait(), running.kill()), daemon=True).start()
sys.exit(running.wait())
