"""What differs between the languages, for Python 2: plugins from before there was an SDK. `python3` has the same names.

Plugins of this kind have no `safeguard` to import, so the services of the gateway are not there for them.
"""

from __future__ import absolute_import

import _multiprocessing
import _socket
import errno
import fcntl
import gc
import imp
import inspect
import os
import sys
import types

UNWRITABLE = (TypeError, ValueError, OverflowError, RuntimeError)


class Parameter(object):
    """As much of `inspect.Parameter` as is asked for."""

    empty = object()
    POSITIONAL_ONLY, POSITIONAL_OR_KEYWORD, VAR_POSITIONAL, KEYWORD_ONLY, VAR_KEYWORD = range(5)

    def __init__(self, name, kind, default=empty):
        self.name = name
        self.kind = kind
        self.default = default


class Pages(object):
    """Nothing is learnt about the pages of this interpreter: its calls are a little slower for it."""

    def populate(self):
        pass

    def learn(self):
        pass


def settle():
    """Nothing of what is in memory now is looked at in workers, which would write to it."""
    gc.collect()
    gc.disable()


class _Services(object):
    @staticmethod
    def install():
        pass

    @staticmethod
    def bind(channel, *told):
        pass


services = _Services


class network(object):
    """The gateway looks up no names for this language: where the network is restricted, plugins reach addresses."""

    @staticmethod
    def install():
        pass


class _Outlet(object):
    """stdout or stderr: unbuffered, bytes as they are and text as UTF-8, also when the reader is gone."""

    encoding = "utf-8"
    errors = "replace"
    closed = False
    # Where `print` keeps whether a space is due.
    softspace = 0

    def __init__(self, fd, name):
        self._fd = fd
        self.name = name
        self.mode = "w"

    def write(self, text):
        if isinstance(text, types.UnicodeType):
            text = text.encode("utf-8", "replace")
        rest = str(text)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except OSError:
                error = sys.exc_info()[1]
                if error.errno == errno.EPIPE:
                    return
                if error.errno != errno.EINTR:
                    raise

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def fileno(self):
        return self._fd

    def isatty(self):
        return False

    def flush(self):
        pass

    def close(self):
        pass


class outlet(object):
    @staticmethod
    def install():
        for fd, name in ((1, "stdout"), (2, "stderr")):
            pipe = _Outlet(fd, "<%s>" % name)
            setattr(sys, name, pipe)
            setattr(sys, "__%s__" % name, pipe)

    @staticmethod
    def flush():
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass


def own_socket(fd):
    """The socket behind `fd`, which no program inherits that a plugin starts."""
    sock = _socket.fromfd(fd, _socket.AF_UNIX, _socket.SOCK_STREAM)
    os.close(fd)
    _close_on_exec(sock.fileno())
    return sock


def receive_start(sock):
    """The first bytes of a frame, four at most; file descriptors come after it, one with each byte."""
    return sock.recv(4), []


def receive_files(sock, count):
    """The file descriptors that come after a frame."""
    files = []
    for _ in range(count):
        fd = _multiprocessing.recvfd(sock.fileno())
        _close_on_exec(fd)
        files.append(fd)
    return files


def _close_on_exec(fd):
    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.fcntl(fd, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)


def import_file(name, path):
    """Runs the file as the module `name`, which is in sys.modules before its first line runs."""
    return imp.load_source(name, path)


def has_constructor(plugin):
    """Whether the class says how it is made. An old-style class without a constructor has no `__init__` at all."""
    if not isinstance(plugin, (type, types.ClassType)):
        return True
    if getattr(plugin, "__init__", object.__init__) is not object.__init__:
        return True
    return isinstance(plugin, type) and (plugin.__new__ is not object.__new__ or type(plugin) is not type)


def parameters(function):
    """What it takes, in its own order. TypeError: it does not tell."""
    if isinstance(function, (type, types.ClassType)):
        method = getattr(function, "__init__", object.__init__)
        bound = True
    else:
        # An object may be called as a function is.
        method = function if inspect.isroutine(function) else function.__call__
        bound = inspect.ismethod(method) and method.im_self is not None
    names, rest, named, defaults = inspect.getargspec(method)
    names = names[1:] if bound else names
    required = len(names) - len(defaults or ())
    found = []
    for place, name in enumerate(names):
        # A tuple in the place of a name cannot be given by name.
        kind = Parameter.POSITIONAL_OR_KEYWORD if isinstance(name, str) else Parameter.POSITIONAL_ONLY
        default = Parameter.empty if place < required else defaults[place - required]
        found.append(Parameter(name, kind, default))
    if rest is not None:
        found.append(Parameter(rest, Parameter.VAR_POSITIONAL))
    if named is not None:
        found.append(Parameter(named, Parameter.VAR_KEYWORD))
    return found


def show(value):
    """Its text, as `print` would write it, whatever its bytes are."""
    try:
        return types.UnicodeType(value)
    except UnicodeError:
        return str(value).decode("utf-8", "replace")
