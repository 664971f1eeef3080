"""Sends a command and, without waiting for the answer to that, what it is to read, and the end of that."""

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from client import connect

with connect() as client:
    for size in (1, 1000, 300000):
        channel = client.get_transport().open_session(timeout=20)
        channel.settimeout(20)
        request = paramiko.Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(channel.remote_chanid)
        request.add_string("exec")
        request.add_boolean(True)
        request.add_string("wc -c")
        client.get_transport()._send_user_message(request)
        channel.sendall(b"x" * size)
        channel.shutdown_write()
        print(channel.makefile().read().decode().strip(), channel.recv_exit_status())
