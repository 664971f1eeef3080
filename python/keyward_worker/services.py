"""`safeguard.sessions.plugin_impl`, which the SDK expects from its host (contract section 7).

An import hook puts these modules in place of the fakes that the SDK carries; the installed SDK stays as it is.
Each service is a question to the gateway over the channel of the call, or of the template during the import.
What never changes while a template lives (host name, proxy) was told at the start, so that a hook which needs
nothing else can end although the gateway has died.
"""

import _thread
import base64
import collections
import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from json import dumps
from os import getpid

PACKAGE = "safeguard.sessions.plugin_impl"

_lock = _thread.allocate_lock()
_link = {"channel": None, "pid": None, "box": {}}


class ServiceError(RuntimeError):
    """The gateway refused a request."""


class NotFound(Exception):
    pass


def bind(channel, box=None):
    _link["channel"] = channel
    _link["pid"] = getpid()
    if box is not None:
        _link["box"] = box


def ask(service, **arguments):
    with _lock:
        if _link["pid"] != os.getpid():
            raise ServiceError("{} can be used in the process of the call only, not in a child of it".format(service))
        _link["channel"].send({"service": service, "arguments": arguments})
        answer = _link["channel"].receive()
    if "value" in answer:
        return answer["value"]
    if answer.get("kind") == "not-found":
        raise NotFound(answer.get("message"))
    raise ServiceError(answer.get("message"))


def _credential_store():
    from safeguard.sessions.plugin.credential_store_exceptions import LocalCredentialStoreNotFound

    class Database(object):
        def __init__(self, name):
            self._name = name

        def query_one(self, host, user):
            rows = ask("credential_store.query_one", name=self._name, host=host, user=user)
            return [(credential,) for credential in rows]

        def query_all(self):
            rows = ask("credential_store.query_all", name=self._name)
            return [(user, host, credential) for user, host, credential in rows]

    class Decryptor(object):
        def decrypt(self, credential):
            return dumps([credential])

    def credential_store_parameters_factory(credential_store_name):
        try:
            ask("credential_store.open", name=credential_store_name)
        except NotFound:
            raise LocalCredentialStoreNotFound(credential_store_name)
        return Database(credential_store_name), Decryptor()

    return {
        "LocalCredentialStoreNotFound": LocalCredentialStoreNotFound,
        "credential_store_parameters_factory": credential_store_parameters_factory,
    }


def _user_list():
    from safeguard.sessions.plugin.user_list_exceptions import LocalUserListNotFound

    def user_list_parameters_factory(user_list_name):
        try:
            names, default = ask("user_list", name=user_list_name)
        except NotFound:
            raise LocalUserListNotFound(user_list_name)
        return names, default

    return {
        "LocalUserListNotFound": LocalUserListNotFound,
        "user_list_parameters_factory": user_list_parameters_factory,
    }


def _ldap_server():
    from safeguard.sessions.plugin.ldap_server_exceptions import LDAPOperationError, LDAPUserNotFound

    class LdapService(object):
        def __init__(self, ldap_policy="adserver"):
            self._policy = ldap_policy

        def get_user_string_attribute(self, username, attribute):
            return self.get_user_string_attributes(username, [attribute])[attribute]

        def get_user_string_attributes(self, username, attributes):
            return self._ask("ldap_server.attributes", username, attributes=list(attributes))

        def filter_user_groups(self, username, groups):
            return self._ask("ldap_server.groups", username, groups=list(groups))

        def _ask(self, service, username, **arguments):
            details = {"policy": self._policy, "username": username}
            try:
                return ask(service, policy=self._policy, user=username, **arguments)
            except NotFound:
                raise LDAPUserNotFound(details)
            except ServiceError as error:
                raise LDAPOperationError(str(error), details)

    return {
        "LDAPOperationError": LDAPOperationError,
        "LDAPUserNotFound": LDAPUserNotFound,
        "LdapService": LdapService,
    }


def _memory_cache():
    class MemoryCache(object):
        def set_binary(self, key, value, ttl):
            if isinstance(value, str):
                value = value.encode("utf-8")
            text = base64.b64encode(bytes(value)).decode("ascii")
            ask("memory_cache.set", key=key, value=text, ttl=ttl)

        def get_binary(self, key):
            text = ask("memory_cache.get", key=key)
            return None if text is None else base64.b64decode(text)

    return {"MemoryCache": MemoryCache}


_HttpProxy = collections.namedtuple("HttpProxySettings", "server port username password")


def _box_config():
    class BoxConfig(object):
        @staticmethod
        def query(end_point):
            keys = [key for key in end_point.split("/") if key]
            return {
                "error": {
                    "details": {"mount_point": "/", "resource": keys[0] if keys else ""},
                    "message": "Resource was not found",
                    "type": "ResourceNotFound",
                }
            }

        @staticmethod
        def get_gateway_fqdn():
            return _link["box"].get("gateway_fqdn")

        @staticmethod
        def get_http_proxy():
            return _HttpProxy(*_link["box"].get("http_proxy") or (None, None, None, None))

        @staticmethod
        def get_starling_join_credential_string():
            return ask("box_config.starling_join")

        @staticmethod
        def get_trusted_ca_lists():
            return ask("box_config.trusted_ca_lists")

        @staticmethod
        def close():
            pass

    return {"BoxConfig": BoxConfig}


def _lockfile():
    def try_acquire(lockfile_path):
        path = os.path.realpath(lockfile_path)
        return path if ask("lockfile.try_acquire", path=path) else None

    def release(lockfile_state):
        ask("lockfile.release", path=lockfile_state)

    return {"try_acquire": try_acquire, "release": release}


_MODULES = {
    "box_config": _box_config,
    "credential_store": _credential_store,
    "ldap_server": _ldap_server,
    "lockfile": _lockfile,
    "memory_cache": _memory_cache,
    "user_list": _user_list,
}


class _Finder(object):
    """A finder and loader in one: it knows the names below PACKAGE and nothing else."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == PACKAGE:
            return ModuleSpec(name, cls, origin="keyward", is_package=True)
        package, _, member = name.rpartition(".")
        if package == PACKAGE and member in _MODULES:
            return ModuleSpec(name, cls, origin="keyward")
        return None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        if module.__name__ == PACKAGE:
            # The SDK and this package import each other, and it must be the SDK that begins.
            try:
                import_module("safeguard.sessions.plugin")
            except ImportError:
                pass
            return
        module.__dict__.update(_MODULES[module.__name__.rpartition(".")[2]]())


def install():
    sys.meta_path.insert(0, _Finder)
