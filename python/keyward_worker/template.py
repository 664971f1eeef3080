"""A template: imports the plugin once, then forks a worker for each order (contract section 3, rule 1)."""

from __future__ import absolute_import

import os
import signal
import sys

from . import plugin, python, worker
from .channel import Channel, Closed

VERSION = 1

outlet, services = python.outlet, python.services


def serve(control_fd):
    control = Channel(control_fd)
    workers = set()
    pages = python.Pages()
    try:
        start = control.receive()
        if start.get("version") != VERSION:
            control.send({"version": VERSION})
            return
        outlet.install()
        if start["network"] == "asked":
            python.network.install()
        services.install()
        services.bind(control, start["box"])
        signatures = None
        # It may have come as ignored from whoever started the gateway.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if start["warm"]:
            signatures = _import(control, start)
        else:
            control.send({"ready": [], "version": VERSION})
        while True:
            _obey(control, start, signatures, workers, pages)
    except Closed:
        # The gateway is gone. Calls that run end by themselves; what earlier calls left behind ends now.
        _kill_orphans(workers)
        os._exit(0)


def _import(control, start):
    # A dead man's switch: the gateway kills a template that is stuck, unless it is dead itself.
    signal.setitimer(signal.ITIMER_REAL, start["import_limit"] + 5)
    try:
        signatures = plugin.load(start["root"], start["entry"])
    except plugin.Failure as failure:
        control.send(failure.frame())
        raise Closed("import failed")
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    obstacle = _obstacle(control.fileno())
    if obstacle:
        control.send({"unforkable": obstacle, "version": VERSION})
        raise Closed("not fit to fork")
    hooks = plugin.hooks(signatures, start["hooks"])
    signatures.learn(hooks)
    outlet.flush()
    python.settle()
    control.send({"ready": hooks, "version": VERSION})
    return signatures


def _obstacle(control_fd):
    """What makes a fork unsafe: threads do not survive it, and a connection would be shared by all children."""
    if len(os.listdir("/proc/self/task")) > 1:
        return "%s started a thread during the import" % _thread_owner()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue
        if target.startswith("socket:") and int(name) != control_fd:
            return "a connection (file descriptor %s) was opened during the import" % name
    return None


def _thread_owner():
    threading = sys.modules.get("threading")
    if threading is not None:
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                target = getattr(thread, "_target", None)
                return "module %s" % (getattr(target, "__module__", None) or type(thread).__module__)
    return "native code"


def _obey(control, start, signatures, workers, pages):
    order, files = control.receive_with_files()
    for pid in order["reap"]:
        workers.discard(pid)
        try:
            os.waitpid(pid, os.WNOHANG)
        except OSError:
            pass
    if not order["fork"]:
        control.send({})
        return
    try:
        channel, stdout, stderr = files
        pid = os.fork()
    except (OSError, ValueError) as error:
        answer = {"refused": str(error)}
    else:
        if pid == 0:
            control.close()
            worker.run(start, signatures, pages, order["ahead"], (channel, stdout, stderr))
        workers.add(pid)
        answer = {"pid": pid}
    for fd in files:
        os.close(fd)
    control.send(answer)


def _kill_orphans(workers):
    try:
        with open("/proc/self/task/%d/children" % os.getpid()) as children:
            orphans = set(map(int, children.read().split())) - workers
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError):
        pass
