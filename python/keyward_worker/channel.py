"""Frames between a worker and the gateway: a length of four bytes, most significant first, then JSON.

The socket is the C type itself: plugins replace `socket.socket` (PySocks does), and set default timeouts. For the
same reason functions are imported, not modules.
"""

import _socket
import array
import struct
from json import dumps, loads

# What the gateway takes in one frame.
MAX_FRAME = 8 * 1024 * 1024

_LENGTH = struct.Struct(">I")


class Closed(Exception):
    """The gateway is gone, or has given this process up."""


class Channel(object):
    def __init__(self, fd):
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        self._socket.settimeout(None)

    def send(self, message):
        self.send_text(dumps(message))

    def send_text(self, text):
        body = text.encode("utf-8")
        try:
            self._socket.sendall(_LENGTH.pack(len(body)) + body, _socket.MSG_NOSIGNAL)
        except OSError as error:
            raise Closed(str(error))

    def receive(self):
        (length,) = _LENGTH.unpack(self._exactly(4))
        return loads(self._exactly(length).decode("utf-8"))

    def receive_with_files(self):
        """A frame, and the file descriptors that came with its first byte."""
        files = array.array("i")
        room = _socket.CMSG_SPACE(8 * files.itemsize)
        head, ancillary, _, _ = self._socket.recvmsg(4, room, getattr(_socket, "MSG_CMSG_CLOEXEC", 0))
        for level, kind, data in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                files.frombytes(data[: len(data) - len(data) % files.itemsize])
        if not head:
            raise Closed("end of file")
        head += self._exactly(4 - len(head))
        (length,) = _LENGTH.unpack(head)
        return loads(self._exactly(length).decode("utf-8")), list(files)

    def close(self):
        self._socket.close()

    def _exactly(self, length):
        parts = []
        while length:
            try:
                part = self._socket.recv(min(length, 1 << 20))
            except OSError as error:
                raise Closed(str(error))
            if not part:
                raise Closed("end of file")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)
