"""Leaves a server in one state of the protocol, again and again. Arguments: the state, how often, a password.

Every second time it is torn off rather than closed. Prints how often it got that far.
"""

import contextlib
import os
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import paramiko

state, times, password = sys.argv[1], int(sys.argv[2]), sys.argv[3]
place = (os.environ["PEER_HOST"], int(os.environ["PEER_PORT"]))
login = os.environ["PEER_LOGIN"]
key = paramiko.Ed25519Key.from_private_key_file(os.environ["PEER_KEY"])

# A packet that says it has 1,000 bytes and has three, and an announcement of a key exchange with empty lists.
HALF_A_PACKET = struct.pack(">I", 1000) + b"\x04\x14\x00"
ANNOUNCEMENT = bytes([20]) + bytes(16) + bytes(40) + bytes(5)
FIRST = {
    "connected": b"",
    "half a version": b"SSH-2.0-ha",
    "version": b"SSH-2.0-x\r\n",
    "half a packet": b"SSH-2.0-x\r\n" + HALF_A_PACKET,
    "announced": b"SSH-2.0-x\r\n" + struct.pack(">IB", 1 + len(ANNOUNCEMENT) + 5, 5) + ANNOUNCEMENT + bytes(5),
}


class Gone(Exception):
    pass


def leave(peer, number):
    if number % 2:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        # The server may have torn it off before.
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_RDWR)
    peer.close()


def raw(number):
    peer = socket.create_connection(place, timeout=20)
    peer.sendall(FIRST[state])
    peer.recv(1)
    leave(peer, number)


def in_protocol(number):
    peer = socket.create_connection(place, timeout=20)
    transport = paramiko.Transport(peer)
    transport.start_client(timeout=20)
    reach(transport, lambda: leave(peer, number))
    transport.close()


def reach(transport, gone):
    if state == "keys":
        return gone()
    if state == "refused":
        try:
            transport.auth_none(login)
        except paramiko.BadAuthenticationType:
            return gone()
    if state == "question":
        asked = threading.Event()

        def hang_up(title, instructions, prompts):
            asked.set()
            gone()
            raise Gone

        try:
            transport.auth_interactive(login, hang_up)
        except (Gone, paramiko.SSHException, EOFError):
            pass
        assert asked.is_set()
        return
    transport.auth_publickey(login, key)
    if state == "logged in":
        return gone()
    channel = transport.open_session(timeout=20)
    if state == "channel":
        return gone()
    channel.settimeout(20)
    channel.exec_command("cat /dev/zero & cat > /dev/null")
    channel.recv(100000)
    channel.send(b"x" * 30000)
    gone()


one = raw if state in FIRST else in_protocol
with ThreadPoolExecutor(2) as pool:
    print(sum(1 for _ in pool.map(one, range(times))))
