"""Opens channels in a loop, not waiting for answers; prints how many were refused, and how many were opened and closed.

Arguments: how many of an unknown type, how many sessions.
"""

import sys
import threading

import paramiko
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_OPEN_SUCCESS,
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_OPEN,
)

from client import connect

refused, closed = threading.Semaphore(0), threading.Semaphore(0)
counts = {"refused": 0, "closed": 0}


def failure(transport, message):
    counts["refused"] += 1
    refused.release()


def confirmation(transport, message):
    message.get_int()
    answer = paramiko.Message()
    answer.add_byte(cMSG_CHANNEL_CLOSE)
    answer.add_int(message.get_int())
    transport._send_message(answer)


def over(transport, message):
    counts["closed"] += 1
    closed.release()


def send_opens(transport, kind, numbers, wait):
    for number in numbers:
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_OPEN)
        message.add_string(kind)
        message.add_int(number)
        message.add_int(1 << 20)
        message.add_int(1 << 15)
        transport._send_user_message(message)
        if number >= 32:
            # So many at once.
            assert wait.acquire(timeout=20)
    for _ in range(min(32, len(numbers))):
        assert wait.acquire(timeout=20)


class Transport(paramiko.Transport):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        handlers = {
            MSG_CHANNEL_OPEN_FAILURE: failure,
            MSG_CHANNEL_OPEN_SUCCESS: confirmation,
            MSG_CHANNEL_CLOSE: over,
        }
        for number, handler in handlers.items():
            self._handler_table[number] = handler.__get__(self)


with connect(transport_factory=Transport) as client:
    transport = client.get_transport()
    send_opens(transport, "made-up@example.com", range(int(sys.argv[1])), refused)
    send_opens(transport, "session", range(int(sys.argv[2])), closed)
    print(counts["refused"], counts["closed"])
with connect() as client:
    _, out, _ = client.exec_command("echo still here", timeout=20)
    print(out.read().decode().strip())
