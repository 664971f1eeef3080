"""Runs the command in the arguments; prints its status, its output, its complaints."""

import sys

from client import connect

with connect() as client:
    stdin, stdout, stderr = client.exec_command(sys.argv[1], timeout=20)
    stdin.channel.shutdown_write()
    out, err = stdout.read().decode(), stderr.read().decode()
    print(stdout.channel.recv_exit_status(), out.strip(), err.strip())
