"""What differs between the languages, for Python 3. `python2` has the same names."""

import _socket
import array
import importlib.machinery
import importlib.util
import inspect
import os
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket
from os import set_inheritable

from . import network, outlet, services
from .memory import settle
from .pages import Pages

__all__ = ("Pages", "Parameter", "UNWRITABLE", "network", "outlet", "services", "settle")

Parameter = inspect.Parameter

# What JSON raises for a result that it cannot hold.
UNWRITABLE = (TypeError, ValueError, OverflowError, RecursionError)


def own_socket(fd):
    """The socket behind `fd`, which no program inherits that a plugin starts."""
    set_inheritable(fd, False)
    return socket(AF_UNIX, SOCK_STREAM, 0, fd)


def receive_start(sock):
    """The first bytes of a frame, four at most, and the file descriptors that came with them."""
    files = array.array("i")
    room = _socket.CMSG_SPACE(8 * files.itemsize)
    head, ancillary, _, _ = sock.recvmsg(4, room, getattr(_socket, "MSG_CMSG_CLOEXEC", 0))
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    return head, list(files)


def receive_files(sock, count):
    """File descriptors that come after a frame: there are none, since they came with it."""
    return []


def import_file(name, path):
    """Runs the file as the module `name`, which is in sys.modules before its first line runs."""
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, path, loader=loader))
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def has_constructor(plugin):
    """Whether the class says how it is made."""
    own = getattr(plugin, "__init__", None) is not object.__init__ or plugin.__new__ is not object.__new__
    return own or type(plugin) is not type


def parameters(function):
    """What it takes, in its own order. TypeError or ValueError: it does not tell."""
    return list(inspect.signature(function).parameters.values())


def show(value):
    """Its text, as `print` would write it."""
    return str(value)
