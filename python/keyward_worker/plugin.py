"""A plugin: its import, its constructor, its hooks (contract section 3)."""

from __future__ import absolute_import

import os
import sys
import traceback
from json import JSONEncoder

from . import python
from .channel import MAX_FRAME
from .failure import Failure
from .signatures import Signatures

_HERE = os.path.dirname(os.path.abspath(__file__))
_MAX_TRACEBACK = 64 * 1024
_MAX_MESSAGE = 2000

_encoder = JSONEncoder(allow_nan=False)


def load(root, entry):
    """Imports the entry module with the bundle's root first on sys.path, and returns how its class Plugin is called."""
    sys.path.insert(0, root)
    path = os.path.join(root, entry)
    sys.argv[:] = [path]
    name = entry[:-3] if entry.endswith(".py") else entry
    try:
        module = python.import_file(name, path)
    except:  # noqa: E722 - on Python 2, what is raised may be no exception
        raise Failure("import", _one_line(), _trace())
    plugin = getattr(module, "Plugin", None)
    if not callable(plugin):
        raise Failure("import", "%s defines no class Plugin" % entry)
    return Signatures(plugin)


def call(signatures, start, order):
    """Constructs the plugin, calls the hook, and returns its result as JSON text."""
    hook = order["hook"]
    try:
        instance = _construct(signatures, start["configuration"])
        method = getattr(instance, hook, None)
        if not callable(method):
            raise Failure("missing-hook", "the plugin has no method %s" % hook)
        result = method(**signatures.bind(method, hook, order["arguments"], start["known"]))
    except Failure:
        raise
    except SystemExit as error:
        raise _exited(error)
    except:  # noqa: E722 - as above
        raise Failure("exception", _one_line(), _trace())
    return _encode(result)


def hooks(signatures, names):
    """Those that its class has."""
    return [name for name in names if callable(getattr(signatures.plugin, name, None))]


def _construct(signatures, configuration):
    plugin, given = signatures.plugin, signatures.constructor()
    if given == "none":
        if configuration.strip():
            raise Failure("configuration", "the plugin takes no configuration, and the instance has one: empty it")
        return plugin()
    if given == "keyword":
        return plugin(configuration=configuration)
    return plugin(configuration)


def _encode(result):
    try:
        text = _encoder.encode(result)
    except python.UNWRITABLE as error:
        raise Failure("wrong-result", "the result cannot be written as JSON: %s" % _text(error))
    except MemoryError:
        raise Failure("too-large", "the result does not fit into the worker's memory as JSON")
    if len(text) > MAX_FRAME - 64:
        limit = MAX_FRAME // (1024 * 1024)
        raise Failure("too-large", "the result is %d bytes of JSON: %d MiB are allowed" % (len(text), limit))
    return text


def _exited(error):
    if error.code is None or isinstance(error.code, int):
        status = error.code or 0
    else:
        # Python itself writes such a code to stderr and ends with 1.
        sys.stderr.write(python.show(error.code) + "\n")
        status = 1
    return Failure("exited", "the plugin ended its process with status %d" % status, _trace())


def _one_line():
    """What is being handled, by its class and its text."""
    kind, error = sys.exc_info()[:2]
    name = getattr(kind, "__name__", "exception")
    text = _text(error)
    return ("%s: %s" % (name, text) if text else name)[:_MAX_MESSAGE]


def _text(error):
    try:
        return " ".join(python.show(error).split())[:_MAX_MESSAGE]
    except Exception:
        return "(it cannot be shown)"


def _trace():
    """The traceback of what is being handled, without our own frames at its top."""
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    try:
        text = python.show("".join(traceback.format_exception(kind, error, trace)))
    except Exception:
        return None
    return text if len(text) <= _MAX_TRACEBACK else "[...]" + text[-_MAX_TRACEBACK:]
