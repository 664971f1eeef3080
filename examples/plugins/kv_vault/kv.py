"""The key-value secrets engines of HashiCorp Vault, versions 1 and 2, over its HTTP API.

Each call of a hook logs in with the client certificate and gives its token back at the end: no token is kept.
"""

import contextlib
import json
from urllib.parse import quote

import requests

MAX_BODY = 1024 * 1024  # bytes of a response


class VaultError(Exception):
    """The server cannot be reached, or did not do what it was asked. The message never holds a secret or a token."""


class Taken(Exception):
    """Somebody else has written the record that was to be created."""


@contextlib.contextmanager
def log_in(session, address, timeout, role=None, namespace=None):
    """A `Vault` that the client certificate of `session` (of `requests`) has opened; closed when the context ends."""
    if not address.startswith("https://"):
        raise VaultError("the address of the server must begin with https://")
    vault = Vault(session, address.rstrip("/"), timeout, namespace)
    vault.log_in(role)
    try:
        yield vault
    finally:
        vault.log_out()


class Vault:
    def __init__(self, session, address, timeout, namespace):
        self._session = session
        self._address = address
        self._timeout = timeout
        self._headers = {"X-Vault-Request": "true"}
        if namespace:
            self._headers["X-Vault-Namespace"] = namespace

    def log_in(self, role):
        """The TLS certificate method: without a role, the server tries all those that the certificate fits."""
        answer = self.call("POST", "auth/cert/login", {"name": role} if role else {})
        token = _inside(answer, "auth", "client_token")
        if not isinstance(token, str):
            raise VaultError("the server's answer to the login has no token")
        self._headers["X-Vault-Token"] = token

    def log_out(self):
        """A token that cannot be given back ends by itself: not worth an error, which would hide the first one."""
        with contextlib.suppress(VaultError):
            self.call("POST", "auth/token/revoke-self")

    def call(self, method, path, body=None):
        """The JSON object of the answer; `{}` where it has none, `None` where there is nothing at the path."""
        status, answer = self._exchange(method, path, body)
        if status == 404:
            return None
        if status >= 300:
            errors = answer.get("errors") if isinstance(answer, dict) else None
            said = "; ".join(str(error) for error in errors) if isinstance(errors, list) else ""
            if status == 400 and "check-and-set" in said:
                raise Taken(said)
            raise VaultError("{} {}: status {} {}".format(method, path, status, said[:500]).rstrip())
        if not isinstance(answer, dict):
            raise VaultError("{} {}: the answer is no JSON object".format(method, path))
        return answer

    def _exchange(self, method, path, body):
        """Redirects are not followed: they could lead token and secret to another server."""
        try:
            with self._session.request(
                method,
                "{}/v1/{}".format(self._address, path),
                json=body,
                headers=self._headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = b""
                for piece in response.iter_content(65536):
                    content += piece
                    if len(content) > MAX_BODY:
                        raise VaultError("{} {}: the answer is longer than {} bytes".format(method, path, MAX_BODY))
                return response.status_code, json.loads(content.decode("utf-8")) if content else {}
        except requests.RequestException as error:
            # The text of the error repeats the whole request; its kind is enough.
            raise VaultError("{} {}: {}".format(method, path, type(error).__name__)) from None
        except ValueError:
            raise VaultError("{} {}: the answer is no JSON".format(method, path)) from None


class Kv1:
    """Secrets as they are: no versions, and no way to write only where nothing is."""

    def __init__(self, vault, mount):
        self._vault = vault
        self._mount = mount

    def read(self, path):
        """The dict of the secret; `None` where there is none."""
        return _inside(self._vault.call("GET", self._at(path)), "data")

    def create(self, path, data):
        """Raises `Taken` where something is already. Two that create at the same moment may both succeed."""
        if self.read(path) is not None:
            raise Taken(path)
        self._vault.call("POST", self._at(path), data)

    def delete(self, path):
        self._vault.call("DELETE", self._at(path))

    def _at(self, path):
        return "{}/{}".format(self._mount, path)


class Kv2:
    """Secrets with versions, written with check-and-set."""

    def __init__(self, vault, mount):
        self._vault = vault
        self._mount = mount

    def read(self, path):
        """The dict of the latest version; `None` where there is none, or where it has been deleted."""
        return _inside(self._vault.call("GET", self._at("data", path)), "data", "data")

    def create(self, path, data):
        """Raises `Taken` where something is already: `cas` 0 writes only where nothing ever was."""
        self._vault.call("POST", self._at("data", path), {"options": {"cas": 0}, "data": data})

    def delete(self, path):
        """With all versions, so that it can be created again."""
        self._vault.call("DELETE", self._at("metadata", path))

    def _at(self, what, path):
        return "{}/{}/{}".format(self._mount, what, path)


def join_path(*names):
    """A path of names that come from people: each one is one segment, and none leads upwards."""
    for name in names:
        if name in ("", ".", "..") or any(letter in "/\\" or not letter.isprintable() for letter in name):
            raise ValueError("{!r} can be no part of a path".format(name))
    return "/".join(quote(name, safe="") for name in names)


def _inside(answer, *keys):
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer
