"""Asks for channels of the types in the arguments; prints how each was refused, and whether a command still runs."""

import sys

import paramiko

from client import connect

with connect() as client:
    for kind in sys.argv[1:]:
        try:
            client.get_transport().open_channel(kind, timeout=20)
            print(kind, "open")
        except paramiko.ChannelException as refused:
            print(kind, "refused")
    _, stdout, _ = client.exec_command("echo still here", timeout=20)
    print(stdout.read().decode().strip())
