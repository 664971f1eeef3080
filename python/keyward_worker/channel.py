"""Frames between a worker and the gateway: a length of four bytes, most significant first, then JSON.

The socket is the C type itself: plugins replace `socket.socket` (PySocks does), and set default timeouts. For the
same reason functions are imported, not modules.
"""

from __future__ import absolute_import

import _socket
import struct
from json import JSONDecoder, dumps

from . import python

# What the gateway takes in one frame.
MAX_FRAME = 8 * 1024 * 1024

# More than most frames have, so that they come in one piece.
_PIECE = 4 * 1024

_LENGTH = struct.Struct(">I")
_decoder = JSONDecoder()
own_socket = python.own_socket
_MSG_NOSIGNAL = getattr(_socket, "MSG_NOSIGNAL", 0)
# Python 2 has a socket's errors beside the system's.
_ERRORS = (OSError, _socket.error)


class Closed(Exception):
    """The gateway is gone, or has given this process up."""


class Channel(object):
    def __init__(self, fd):
        self._socket = own_socket(fd)
        self._socket.settimeout(None)

    def fileno(self):
        return self._socket.fileno()

    def send(self, message):
        self.send_text(dumps(message))

    def send_text(self, text):
        body = text.encode("utf-8")
        try:
            self._socket.sendall(_LENGTH.pack(len(body)) + body, _MSG_NOSIGNAL)
        except _ERRORS as error:
            raise Closed(str(error))

    def receive(self):
        """A frame that nothing follows before it is answered."""
        text = self._some(_PIECE)
        text += self._exactly(4 - len(text))
        (length,) = _LENGTH.unpack(text[:4])
        return _decoded(text[4:] + self._exactly(length + 4 - len(text)))

    def receive_with_files(self):
        """A frame, and the file descriptors that came with its first byte or, on Python 2, after it."""
        head, files = python.receive_start(self._socket)
        if not head:
            raise Closed("end of file")
        head += self._exactly(4 - len(head))
        (length,) = _LENGTH.unpack(head)
        message = _decoded(self._exactly(length))
        return message, files + python.receive_files(self._socket, message.get("files_after", 0))

    def close(self):
        self._socket.close()

    def _exactly(self, length):
        parts = []
        while length > 0:
            part = self._some(min(length, 1 << 20))
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _some(self, most):
        try:
            part = self._socket.recv(most)
        except _ERRORS as error:
            raise Closed(str(error))
        if not part:
            raise Closed("end of file")
        return part


def _decoded(text):
    return _decoder.raw_decode(text.decode("utf-8"))[0]
