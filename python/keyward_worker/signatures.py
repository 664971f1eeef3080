"""How a plugin's constructor takes its configuration, and its hooks their arguments (contract section 3).

`inspect` touches more memory than many a hook does, and a worker pays for each page of it. So a template asks once,
ahead of all calls; what it cannot know, because only an object of the class tells, is asked in the call.
"""

from __future__ import absolute_import

from types import FunctionType, MethodType

from . import python
from .failure import Failure

_POSITIONAL_ONLY = int(python.Parameter.POSITIONAL_ONLY)
_VAR_POSITIONAL = int(python.Parameter.VAR_POSITIONAL)
_KEYWORD_ONLY = int(python.Parameter.KEYWORD_ONLY)
_VAR_KEYWORD = int(python.Parameter.VAR_KEYWORD)
_BY_POSITION = (_POSITIONAL_ONLY, int(python.Parameter.POSITIONAL_OR_KEYWORD), _VAR_POSITIONAL)


class Signatures(object):
    """A plugin's class, or whatever makes its objects, and how that is called."""

    def __init__(self, plugin):
        self.plugin = plugin
        self._constructor = None
        # By the name of the hook: its function, and what that takes.
        self._hooks = {}

    def learn(self, hooks):
        """In a template. What it fails at is left to the call, which can tell of it."""
        try:
            self._constructor = _constructor_argument(self.plugin)
        except Exception:
            pass
        for hook in hooks:
            try:
                found = getattr(self.plugin, hook)
                function = getattr(found, "__func__", found)
                if type(function) is FunctionType:
                    self._hooks[hook] = function, _taken(MethodType(function, self.plugin))
            except Exception:
                pass

    def constructor(self):
        """How the constructor takes the configuration: "none", "keyword" or "position"."""
        return self._constructor or _constructor_argument(self.plugin)

    def bind(self, method, hook, arguments, known):
        """The named subset of the arguments that the hook declares; everything when it has **kwargs."""
        bound = {}
        for name, kind, has_default in self._taken(method, hook):
            if kind == _VAR_POSITIONAL:
                continue
            if kind == _VAR_KEYWORD:
                for name, value in arguments.items():
                    bound.setdefault(str(name), value)
            elif kind == _POSITIONAL_ONLY:
                text = "%s() declares %s as positional-only: arguments are passed by name"
                raise Failure("signature", text % (hook, name))
            elif name in arguments:
                bound[name] = arguments[name]
            elif name in known:
                bound[name] = None
            elif not has_default:
                text = "%s() declares %s, which is no hook argument and has no default"
                raise Failure("signature", text % (hook, name))
        return bound

    def _taken(self, method, hook):
        function, taken = self._hooks.get(hook, (None, None))
        # An object may have a hook of its own in the place of its class's.
        if taken is not None and type(method) is MethodType and method.__func__ is function:
            return taken
        return _taken(method)


def _taken(function):
    """The name and kind of each parameter, and whether it has a default. TypeError or ValueError: it does not tell."""
    return [(p.name, int(p.kind), p.default is not p.empty) for p in python.parameters(function)]


def _constructor_argument(plugin):
    if not python.has_constructor(plugin):
        return "none"
    try:
        taken = _taken(plugin)
    except (TypeError, ValueError):
        return "position"
    kinds = [kind for _, kind, _ in taken]
    if any(kind in _BY_POSITION for kind in kinds):
        return "position"
    keyword = any(kind == _KEYWORD_ONLY and name == "configuration" for name, kind, _ in taken)
    return "keyword" if keyword or _VAR_KEYWORD in kinds else "none"
