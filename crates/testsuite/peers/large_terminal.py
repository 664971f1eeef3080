"""Asks for a shell on a terminal of two million cells, and prints what comes of it."""

import paramiko

from client import connect

with connect() as client:
    try:
        channel = client.invoke_shell(term="xterm", width=2000, height=1000)
        channel.settimeout(20)
        channel.sendall("echo in\n")
        while data := channel.recv(4096):
            print(data.decode(errors="replace"))
    except (paramiko.SSHException, OSError):
        pass
    print("closed")
