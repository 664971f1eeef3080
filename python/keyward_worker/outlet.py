"""stdout and stderr of a worker."""

import io
import sys


class _Pipe(io.FileIO):
    """A pipe whose reader may be gone: session_ended must end even when the gateway has died, prints and all."""

    def write(self, data):
        try:
            return io.FileIO.write(self, data)
        except BrokenPipeError:
            return len(data)


def install():
    """Unbuffered, so that what was printed before a crash or a kill is not lost."""
    for fd, name, errors in ((1, "stdout", "surrogateescape"), (2, "stderr", "backslashreplace")):
        pipe = _Pipe(fd, "w", closefd=False)
        text = io.TextIOWrapper(pipe, encoding="utf-8", errors=errors, line_buffering=True, write_through=True)
        setattr(sys, name, text)
        setattr(sys, "__%s__" % name, text)


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
