"""Sends more in a hop than the gateway has said it takes, and garbage besides. Prints whether it was hung up on.
Arguments: the server's address and port."""

import sys
import time

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE, cMSG_CHANNEL_DATA

from client import connect

host, port = sys.argv[1], int(sys.argv[2])
transport = connect().get_transport()
hop = transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0))
# Whoever agrees that a channel is closed has not overrun it by what comes later.
transport._channel_handler_table = {**transport._channel_handler_table, MSG_CHANNEL_CLOSE: lambda *_: None}
# The gateway takes 2 MiB and stops to take more once it has found out that this is no SSH.
try:
    for _ in range(100):
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_DATA)
        message.add_int(hop.remote_chanid)
        message.add_string(b"garbage\n" * 4000)
        transport._send_message(message)
except (EOFError, OSError):
    pass
deadline = time.monotonic() + 20
while transport.is_active() and time.monotonic() < deadline:
    time.sleep(0.05)
print("still connected" if transport.is_active() else "hung up")
