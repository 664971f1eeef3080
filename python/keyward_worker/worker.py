"""A worker: a child of the template that waits for one call, serves it, and ends."""

from __future__ import absolute_import

import atexit
import gc
import os
import signal
import sys

from . import kernel, plugin, python
from .channel import Channel, Closed

# Seconds that the gateway has to end a call by itself before the alarm does.
_LATE = 5

outlet, services = python.outlet, python.services


def run(start, plugin_class, pages, ahead, files):
    """Never returns."""
    try:
        channel_fd, stdout, stderr = files
        os.setsid()
        kernel.adopt_orphans()
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        _reseed()
        channel = Channel(channel_fd)
        services.bind(channel)
        if ahead:
            # Nobody waits for this worker yet.
            pages.populate()
        channel.send({"ready": os.getpid()})
        # While idle, the end of the channel is the end of the worker.
        order = channel.receive()
        _serve(start, plugin_class, pages, channel, order)
    except Closed:
        os._exit(0)
    except:  # noqa: E722 - on Python 2, what is raised may be no exception
        kind, error = sys.exc_info()[:2]
        sys.stderr.write("keyward worker: %s: %s\n" % (getattr(kind, "__name__", "exception"), error))
        os._exit(70)
    os._exit(0)


def _reseed():
    """A fork must not repeat the numbers of its siblings. Python does this by itself from 3.7 on."""
    random = sys.modules.get("random")
    if random is not None:
        random.seed()


def _serve(start, plugin_class, pages, channel, order):
    pid = os.getpid()
    # From here on the hook runs to its end even if the gateway dies; this alarm is then what bounds it.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, order["limit"] + _LATE)
    if hasattr(gc, "freeze"):
        # What was imported is frozen: a collection looks at the call's own objects only.
        gc.set_threshold(20000, 20, 100)
        gc.enable()
    try:
        if plugin_class is None:
            plugin_class = plugin.load(start["root"], start["entry"])
        text = plugin.call(
            plugin_class, start["configuration"], order["hook"], order["arguments"], order["known"]
        )
        answer = '{"result": ' + text + "}"
    except plugin.Failure as failure:
        answer = None
        refusal = failure.frame()
    if os.getpid() != pid:
        # A child that the hook forked has come back from it: the result is not its to tell.
        os._exit(0)
    if answer is None:
        channel.send(refusal)
    else:
        channel.send_text(answer)
    _end(pages)


def _end(pages):
    """What an interpreter does at its end, without taking itself apart."""
    try:
        atexit._run_exitfuncs()
    except:  # noqa: E722 - as above
        pass
    outlet.flush()
    pages.learn()
    # The end of the output is the end of the call: tell it before the memory is unmapped.
    for fd in (1, 2):
        try:
            os.close(fd)
        except OSError:
            pass
    os._exit(0)
