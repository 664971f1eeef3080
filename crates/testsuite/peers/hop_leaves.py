"""Runs a command in a hop and sends it much, then closes the hop at once, without waiting for any answer, and stays
connected until its standard input ends. Arguments: the server's address and port, the number of bytes."""

import os
import sys

import paramiko

from client import connect

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
jump = connect()
hop = jump.get_transport().open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0))
server = paramiko.Transport(hop)
server.start_client(timeout=60)
server.auth_none(os.environ["PEER_LOGIN"])
channel = server.open_session(timeout=60)
channel.exec_command("hash")
# Each returns once the hop has it.
channel.sendall(b"x" * count)
channel.shutdown_write()
hop.close()
# A connection that is closed with something unread would take along what is on its way.
sys.stdin.read()
jump.close()
