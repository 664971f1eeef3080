"""Paramiko goes through a jump host: the server's connection runs in a channel of the jump host's. Arguments: the
server's address and port."""

import os
import sys

import paramiko

from client import connect

host, port = sys.argv[1], int(sys.argv[2])
jump = connect()
channel = jump.get_transport().open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0))
server = paramiko.SSHClient()
server.set_missing_host_key_policy(paramiko.AutoAddPolicy())
# Its key is not asked for: who it is was proven to the jump host.
server.connect(
    host,
    username=os.environ["PEER_LOGIN"],
    key_filename=os.environ["PEER_KEY"],
    sock=channel,
    allow_agent=False,
    look_for_keys=False,
    timeout=20,
)
_, stdout, _ = server.exec_command("echo in")
print(stdout.read().decode(), stdout.channel.recv_exit_status())
server.close()
jump.close()
