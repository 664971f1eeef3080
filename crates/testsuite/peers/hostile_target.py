"""A server that means harm. Its argument is the environment's PEER_HARM; it takes any password.

`preamble`, `line`, `announcements`, `ignored`, `length` need no key exchange; `banners`, `unasked`, `window`, `rekeying`,
`channels` come after it.
"""

import os
import socket
import struct
import sys
import threading

import paramiko
from paramiko.common import (
    cMSG_CHANNEL_DATA,
    cMSG_CHANNEL_OPEN,
    cMSG_USERAUTH_BANNER,
)

HARM = os.environ["PEER_HARM"]
NAME = b"SSH-2.0-x\r\n"


def packet(payload):
    padding = 8 - (len(payload) + 5) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def names(*texts):
    return b"".join(struct.pack(">I", len(text)) + text for text in texts)


ANNOUNCEMENT = packet(
    b"\x14"
    + bytes(16)
    + names(b"curve25519-sha256", b"ssh-ed25519", *[b"aes128-ctr"] * 2, *[b"hmac-sha2-256"] * 2, *[b"none"] * 2, b"", b"")
    + bytes(5)
)
# What is said first, and what is said again and again after it.
WITHOUT_KEYS = {
    "preamble": (b"", b"Welcome to this server.\r\n" * 1000),
    "line": (b"", b"x" * 10000),
    "announcements": (NAME, ANNOUNCEMENT * 100),
    "ignored": (NAME, packet(b"\x02" + names(b"x" * 1000)) * 100),
    "length": (NAME + struct.pack(">I", 0x7FFFFFF0), b"x" * 10000),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def without_keys(peer):
    first, again = WITHOUT_KEYS[HARM]
    try:
        peer.sendall(first)
        while True:
            peer.sendall(again)
    except OSError:
        say("hung up")


def message(number, *parts):
    made = paramiko.Message()
    made.add_byte(number)
    for part in parts:
        made.add_int(part) if isinstance(part, int) else made.add_string(part)
    return made


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport

    def flood(self, made):
        """Sends a message for as long as somebody takes it."""
        try:
            while self.transport.is_active():
                self.transport._send_message(made)
        except Exception:
            pass
        say("hung up")

    def get_allowed_auths(self, username):
        return "password"

    def check_auth_password(self, username, password):
        if HARM == "banners":
            self.flood(message(cMSG_USERAUTH_BANNER, "Welcome. " * 100, ""))
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.harm, args=(channel,), daemon=True).start()
        return True

    def harm(self, channel):
        if HARM == "window":
            self.flood(message(cMSG_CHANNEL_DATA, channel.remote_chanid, b"x" * 30000))
        if HARM == "unasked":
            for number in range(10000):
                self.transport._send_message(message(cMSG_CHANNEL_DATA, 1000 + number, b"x" * 100))
        if HARM == "rekeying":
            self.flood(paramiko.Message(ANNOUNCEMENT[5 : -ANNOUNCEMENT[4]]))
        if HARM == "channels":
            for number in range(10000):
                parts = ("forwarded-tcpip", number, 1 << 20, 1 << 15, "127.0.0.1", 80, "127.0.0.1", 80)
                self.transport._send_message(message(cMSG_CHANNEL_OPEN, *parts))
        channel.sendall(b"after all\n")
        channel.send_exit_status(0)
        channel.close()


def until_stdin_ends():
    sys.stdin.buffer.read()
    os._exit(0)


listener = socket.create_server(("127.0.0.1", 0))
key = paramiko.ECDSAKey.generate()
threading.Thread(target=until_stdin_ends, daemon=True).start()
say("listening %d %s %s" % (listener.getsockname()[1], key.get_name(), key.get_base64()))
while True:
    peer, _ = listener.accept()
    if HARM in WITHOUT_KEYS:
        threading.Thread(target=without_keys, args=(peer,), daemon=True).start()
        continue
    transport = paramiko.Transport(peer)
    transport.add_server_key(key)
    transport.start_server(server=Server(transport), event=threading.Event())
