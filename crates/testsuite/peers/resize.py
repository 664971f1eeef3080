"""Asks a remote terminal for its size, before and after the window changed."""

import re

from client import connect


def read_until(channel, pattern):
    seen = ""
    while not re.search(pattern, seen):
        data = channel.recv(4096)
        if not data:
            raise SystemExit("the shell ended: %r" % seen)
        seen += data.decode(errors="replace")
    return re.search(pattern, seen).group(1)


with connect() as client:
    channel = client.invoke_shell(term="xterm", width=91, height=31)
    channel.settimeout(20)
    channel.sendall("stty size; echo first=$((40+2))\n")
    first = read_until(channel, r"(?s)(\d+ \d+)\r\n.*first=42")
    channel.resize_pty(width=123, height=45)
    channel.sendall("stty size; echo second=$((40+2))\n")
    second = read_until(channel, r"(?s)(\d+ \d+)\r\n.*second=42")
    channel.sendall("exit 7\n")
    print(first, second, channel.recv_exit_status(), sep=", ")
