"""A worker: a child of the template that waits for one call, serves it, and ends.

Functions are imported, not modules: to look one up in its module is to write to more memory than the template shares.
"""

from __future__ import absolute_import

import gc
import sys
from atexit import _run_exitfuncs
from gc import enable, set_threshold
from os import _exit, close, dup2, getpid, setsid
from signal import ITIMER_REAL, setitimer

from . import python
from .channel import Channel, Closed
from .failure import Failure
from .kernel import adopt_orphans
from .plugin import call, load

# Seconds that the gateway has to end a call by itself before the alarm does.
_LATE = 5

can_freeze = hasattr(gc, "freeze")
flush_output, bind_services = python.outlet.flush, python.services.bind


def run(start, signatures, pages, ahead, files):
    """Never returns."""
    try:
        channel_fd, stdout, stderr = files
        setsid()
        adopt_orphans()
        dup2(stdout, 1)
        dup2(stderr, 2)
        close(stdout)
        close(stderr)
        _reseed()
        channel = Channel(channel_fd)
        bind_services(channel)
        if ahead:
            # Nobody waits for this worker yet.
            pages.populate()
        _collect_from_now_on()
        channel.send_text('{"ready": %d}' % getpid())
        # While idle, the end of the channel is the end of the worker.
        order = channel.receive()
        _serve(start, signatures, pages, channel, order)
    except Closed:
        _exit(0)
    except:  # noqa: E722 - on Python 2, what is raised may be no exception
        kind, error = sys.exc_info()[:2]
        sys.stderr.write("keyward worker: %s: %s\n" % (getattr(kind, "__name__", "exception"), error))
        _exit(70)
    _exit(0)


def _reseed():
    """A fork must not repeat the numbers of its siblings. Python does this by itself from 3.7 on."""
    random = sys.modules.get("random")
    if random is not None:
        random.seed()


def _collect_from_now_on():
    if can_freeze:
        # What was imported is frozen: a collection looks at the call's own objects only.
        set_threshold(20000, 20, 100)
        enable()


def _serve(start, signatures, pages, channel, order):
    pid = getpid()
    # From here on the hook runs to its end even if the gateway dies; this alarm is then what bounds it.
    setitimer(ITIMER_REAL, order["limit"] + _LATE)
    try:
        if signatures is None:
            signatures = load(start["root"], start["entry"])
        text = call(signatures, start, order)
        answer = '{"result": ' + text + "}"
    except Failure as failure:
        answer = None
        refusal = failure.frame()
    if getpid() != pid:
        # A child that the hook forked has come back from it: the result is not its to tell.
        _exit(0)
    if answer is None:
        channel.send(refusal)
    else:
        channel.send_text(answer)
    _end(pages)


def _end(pages):
    """What an interpreter does at its end, without taking itself apart."""
    try:
        _run_exitfuncs()
    except:  # noqa: E722 - as above
        pass
    flush_output()
    pages.learn()
    # The end of the output is the end of the call: tell it before the memory is unmapped.
    for fd in (1, 2):
        try:
            close(fd)
        except OSError:
            pass
    _exit(0)
