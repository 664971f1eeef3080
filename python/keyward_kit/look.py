"""Looks at a bundle's source without running any of it. Prints one JSON list of findings."""

import sys

# Together with the options of the command this is `-I`.
sys.path[:] = [folder for folder in sys.path if folder]

import ast
import importlib.machinery
import importlib.util
import json
import os

ORDER = json.loads(sys.argv[1])
ROOT = ORDER["root"]
MOST_FINDINGS = 40
MOST_FILES = 2000
MOST_BYTES = 1024 * 1024
SDK = "oneidentity_safeguard_sessions_plugin_sdk"
# What a base of the SDK brings, by the name of its class.
SDK_BASES = {
    "AAPlugin": {"authenticate", "authorize", "session_ended"},
    "CredentialStorePlugin": {
        "get_password_list", "get_private_key_list", "authentication_completed", "session_ended",
    },
}

findings = []


def find(what, **facts):
    finding = {"what": what}
    for key, value in facts.items():
        finding[key] = value[:160] if isinstance(value, str) else value
    if len(findings) < MOST_FINDINGS and finding not in findings:
        findings.append(finding)


def parse(path):
    """The tree of a file of the bundle; None where there is none to be had."""
    full = os.path.join(ROOT, path)
    try:
        if os.path.getsize(full) > MOST_BYTES:
            return None
        with open(full, "rb") as source:
            return ast.parse(source.read(), path)
    except SyntaxError as error:
        find("syntax", file=path, line=error.lineno or 0, message=error.msg or "")
    except (OSError, ValueError, RecursionError, MemoryError):
        pass
    return None


def vendored():
    """The top-level names that belong to packages which were installed into the bundle."""
    names = set()
    for folder in os.listdir(ROOT):
        if not folder.endswith((".dist-info", ".egg-info")):
            continue
        distribution = folder.split("-")[0].lower()
        for name in os.listdir(ROOT):
            if name.lower().replace("-", "_") in (distribution, distribution + ".py"):
                names.add(name)
        for record, split in (("RECORD", ","), ("top_level.txt", "\n")):
            try:
                with open(os.path.join(ROOT, folder, record), encoding="utf-8") as lines:
                    for line in lines:
                        names.add(line.split(split)[0].strip().split("/")[0])
            except (OSError, ValueError):
                pass
    return names


def in_bundle(module):
    """The file of a module of the bundle, "" for a folder without code, None for no such module."""
    base = module.replace(".", "/")
    for path in (base + "/__init__.py", base + ".py"):
        if os.path.isfile(os.path.join(ROOT, path)):
            return path
    if os.path.isdir(os.path.join(ROOT, base)):
        return ""
    folder, name = os.path.split(os.path.join(ROOT, base))
    try:
        compiled = [found for found in os.listdir(folder) if found.startswith(name + ".")]
    except OSError:
        return None
    return "" if any(found.endswith((".so", ".pyd", ".pyc")) for found in compiled) else None


def at_hand(top):
    if top in ORDER["at_hand"] or top in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def excuses(handler):
    """Whether an except clause takes a failing import into account."""
    if handler.type is None:
        return True
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    words = {getattr(name, "id", getattr(name, "attr", "")) for name in names}
    return bool(words & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def imports(tree):
    """Each import that must succeed: (node, absolute or relative names)."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
            continue
        if isinstance(node, ast.Try) and any(excuses(handler) for handler in node.handlers):
            waiting.extend(node.finalbody)
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
            continue
        waiting.extend(ast.iter_child_nodes(node))


def names_of(node, path):
    """The modules that an import statement may load, from most to least certain."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    module = node.module or ""
    if node.level:
        package = os.path.dirname(path).split("/") if os.path.dirname(path) else []
        package = package[:len(package) - (node.level - 1)] if node.level > 1 else package
        module = ".".join(package + ([module] if module else []))
        if not module:
            return [alias.name for alias in node.names]
    return [module] + [module + "." + alias.name for alias in node.names]


def walk_imports(entry):
    foreign = vendored()
    waiting, seen = [entry], {entry}
    while waiting and len(seen) < MOST_FILES:
        path = waiting.pop()
        tree = parse(path)
        if tree is None:
            continue
        for node in imports(tree):
            for name in names_of(node, path):
                top = name.split(".")[0]
                if not top or top == "__future__":
                    continue
                if in_bundle(top) is None:
                    if not at_hand(top):
                        find("import", module=top, file=path, line=node.lineno)
                    continue
                if top in foreign or top + ".py" in foreign:
                    continue
                parts = name.split(".")
                for length in range(1, len(parts) + 1):
                    found = in_bundle(".".join(parts[:length]))
                    if found and found not in seen:
                        seen.add(found)
                        waiting.append(found)


class Class:
    """What can be told of a class from its text."""

    def __init__(self, node, classes):
        self.methods = {item.name: item for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))}
        self.names = {t.id for item in node.body if isinstance(item, ast.Assign) for t in item.targets if isinstance(t, ast.Name)}
        self.brought = set()
        self.is_known = "__getattr__" not in self.methods and not node.decorator_list
        self.has_base = False
        for base in node.bases:
            name = getattr(base, "id", getattr(base, "attr", ""))
            if name == "object":
                continue
            self.has_base = True
            if name in SDK_BASES:
                self.brought |= SDK_BASES[name]
            elif name in classes and classes[name] is not node:
                inherited = Class(classes[name], {k: v for k, v in classes.items() if v is not node})
                self.methods = dict(inherited.methods, **self.methods)
                self.names |= inherited.names
                self.brought |= inherited.brought
                self.is_known = self.is_known and inherited.is_known
            else:
                self.is_known = False

    def has(self, hook):
        return hook in self.methods or hook in self.names or hook in self.brought


def look_at_class(entry):
    tree = parse(entry)
    if tree is None:
        return
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if "Plugin" not in classes:
        return
    plugin = Class(classes["Plugin"], classes)
    if plugin.is_known:
        for hook in ORDER["required"]:
            if not plugin.has(hook):
                find("missing-hook", hook=hook)
    for hook, arguments in ORDER["hooks"].items():
        method = plugin.methods.get(hook)
        if method is not None:
            look_at_hook(entry, hook, method, arguments)
    takes_none = plugin.is_known and not plugin.has_base and "__init__" not in plugin.methods and "__new__" not in plugin.methods
    if takes_none and ORDER["configured"]:
        find("takes-no-configuration")


def look_at_hook(entry, hook, method, arguments):
    given = set(arguments) | set(ORDER["family"])
    spec = method.args
    static = any(getattr(d, "id", "") == "staticmethod" for d in method.decorator_list)
    only = [argument.arg for argument in getattr(spec, "posonlyargs", [])]
    named = [argument.arg for argument in spec.args]
    # The first one is the object itself.
    if not static:
        only, named = (only[1:], named) if only else (only, named[1:])
    for name in only:
        find("positional-only", hook=hook, argument=name, line=method.lineno, file=entry)
    without_default = named[:len(named) - min(len(spec.defaults), len(named))]
    without_default += [a.arg for a, default in zip(spec.kwonlyargs, spec.kw_defaults) if default is None]
    for name in without_default:
        if name not in given:
            find("unknown-argument", hook=hook, argument=name, line=method.lineno, file=entry)


def look_at_files():
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    looked = 0
    for folder, folders, files in os.walk(ROOT):
        folders.sort()
        for name in sorted(files) + sorted(folders):
            path = os.path.relpath(os.path.join(folder, name), ROOT)
            looked += 1
            if looked > 50000:
                return
            if name.lower().replace("-", "_").startswith(SDK) or path == os.path.join("safeguard", "sessions", "plugin"):
                find("sdk-inside", path=path)
            elif name.endswith(".pyc") and "__pycache__" not in path and not other_source(folder, name):
                look_at_bytecode(os.path.join(folder, name), path)
            elif name.endswith((".pyd", ".dylib")):
                find("compiled", path=path)
            elif name.endswith(".so") and ".cpython-" in name and name[name.index("."):] not in suffixes:
                find("compiled", path=path)


def other_source(folder, name):
    return os.path.exists(os.path.join(folder, name[:-1]))


def look_at_bytecode(full, path):
    try:
        with open(full, "rb") as code:
            if code.read(4) != importlib.util.MAGIC_NUMBER:
                find("compiled", path=path)
    except OSError:
        pass


walk_imports(ORDER["entry"])
look_at_class(ORDER["entry"])
look_at_files()
print(json.dumps(findings))
