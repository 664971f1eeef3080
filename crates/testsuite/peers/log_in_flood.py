"""Says one thing over and over before it has logged in, and reads no answer, until the server hangs up. Prints that it was
cut. Argument: what it says, `ignore`, `service`, or `plain` for what is said before there are keys."""

import os
import socket
import struct
import sys
import time

import paramiko

PLACE = os.environ["PEER_HOST"], int(os.environ["PEER_PORT"])
IGNORE, SERVICE_REQUEST = b"\x02", b"\x05"


def plain():
    connection = socket.create_connection(PLACE)
    connection.sendall(b"SSH-2.0-flood\r\n")
    payload = IGNORE + struct.pack(">I", 30000) + bytes(30000)
    padding = 16 - (5 + len(payload)) % 8
    packet = struct.pack(">IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)
    while True:
        connection.sendall(packet * 8)


def keyed(number, text):
    transport = paramiko.Transport(PLACE)
    transport.start_client(timeout=20)
    # Its thread reads no more.
    transport.packetizer.read_message = lambda: time.sleep(3600)
    message = paramiko.Message()
    message.add_byte(number)
    message.add_string(text)
    while True:
        transport.packetizer.send_message(message)


try:
    match sys.argv[1]:
        case "plain":
            plain()
        case "ignore":
            keyed(IGNORE, bytes(30000))
        case "service":
            keyed(SERVICE_REQUEST, b"ssh-userauth")
except (OSError, EOFError, paramiko.SSHException):
    print("cut", flush=True)
    os._exit(0)
