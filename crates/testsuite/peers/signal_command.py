"""Sends a signal to a remote command that waits for it."""

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from client import connect

with connect() as client:
    channel = client.get_transport().open_session(timeout=20)
    channel.settimeout(20)
    channel.exec_command("trap 'echo caught; exit 9' USR1; echo ready; while :; do sleep 0.1; done")
    out = channel.makefile()
    first = out.readline().strip()
    request = paramiko.Message()
    request.add_byte(cMSG_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("signal")
    request.add_boolean(False)
    request.add_string("USR1")
    client.get_transport()._send_user_message(request)
    print(first, out.read().decode().strip(), channel.recv_exit_status())
