"""Opens channels with windows and packets that no sane client announces; prints what a command gives on each."""

import hashlib

import paramiko
from paramiko.common import cMSG_CHANNEL_WINDOW_ADJUST

from client import connect

SIZE = 300000
COMMAND = "head -c %d /dev/zero" % SIZE
SAME = hashlib.sha256(bytes(SIZE)).digest()
LARGEST = 2**32 - 1


def adjust(transport, channel, size):
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
    message.add_int(channel.remote_chanid)
    message.add_int(size)
    transport._send_user_message(message)


def ask(window, packet, more=()):
    with connect() as client:
        transport = client.get_transport()
        # Paramiko corrects what it is asked for.
        transport._sanitize_window_size = transport._sanitize_packet_size = lambda size: size
        channel = transport.open_session(window_size=window, max_packet_size=packet, timeout=20)
        channel.settimeout(20)
        for size in more:
            adjust(transport, channel, size)
        channel.exec_command(COMMAND)
        got = hashlib.sha256(channel.makefile().read()).digest() == SAME
        return got, channel.recv_exit_status()


print("largest", *ask(LARGEST, LARGEST))
print("grown", *ask(1, 2**31, [LARGEST - 1]))
print("tiny packets", *ask(LARGEST, 64))
with connect() as client:
    _, out, _ = client.exec_command("echo still here", timeout=20)
    print(out.read().decode().strip())
