"""A secret server that speaks what HashiCorp documents of Vault's HTTP API: the login with a TLS certificate, tokens, and
the key-value engines of versions 1 (at `kv`) and 2 (at `secret`). Written for the tests: it is not Vault.

KV_CERTIFICATE, KV_KEY, KV_CLIENT_AUTHORITY: files. KV_CLIENT: the common name that may log in. KV_SECRETS: a JSON object
of paths and secrets, which both engines have.
"""

import json
import os
import secrets
import threading

from https_server import say, serve

lock = threading.Lock()
tokens = set()
one = json.loads(os.environ["KV_SECRETS"])
two = {path: [secret] for path, secret in one.items()}


def refused(status, *errors):
    return status, {"errors": list(errors)}


def answer(method, path, headers, body, client):
    if not path.startswith("/v1/"):
        return refused(404)
    path = path[len("/v1/"):]
    with lock:
        if path == "auth/cert/login":
            return log_in(client, body)
        token = headers.get("X-Vault-Token")
        if token not in tokens:
            return refused(403, "permission denied")
        if path == "auth/token/revoke-self":
            tokens.remove(token)
            say("tokens {}".format(len(tokens)))
            return 204, None
        engine, _, rest = path.partition("/")
        if engine == "kv":
            return version_one(method, rest, body)
        if engine == "secret":
            return version_two(method, rest, body)
        return refused(404, "no handler for route " + path)


def log_in(client, body):
    if client != os.environ["KV_CLIENT"]:
        return refused(400, "invalid certificate or no client certificate supplied")
    if body and body.get("name", "gateway") != "gateway":
        return refused(400, "no certificate role of that name")
    token = "hvs." + secrets.token_hex(12)
    tokens.add(token)
    return 200, {"auth": {"client_token": token, "policies": ["gateway"], "lease_duration": 60, "renewable": True}}


def version_one(method, path, body):
    if method in ("POST", "PUT"):
        one[path] = body
        return 204, None
    if method == "DELETE":
        one.pop(path, None)
        return 204, None
    if path not in one:
        return refused(404)
    return 200, {"lease_id": "", "renewable": False, "lease_duration": 2764800, "data": one[path]}


def version_two(method, path, body):
    what, _, path = path.partition("/")
    versions = two.get(path, [])
    if (what, method) == ("metadata", "DELETE"):
        two.pop(path, None)
        return 204, None
    if what != "data":
        return refused(404)
    if method in ("POST", "PUT"):
        cas = (body.get("options") or {}).get("cas")
        if cas is not None and cas != len(versions):
            return refused(400, "check-and-set parameter did not match the current version")
        two[path] = versions + [body["data"]]
        return 200, {"data": metadata(len(versions) + 1)}
    if method == "DELETE":
        if versions:
            versions[-1] = None
        return 204, None
    if not versions:
        return refused(404)
    status = 200 if versions[-1] is not None else 404
    return status, {"data": {"data": versions[-1], "metadata": metadata(len(versions))}}


def metadata(version):
    return {"version": version, "created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": False}


serve(answer, os.environ["KV_CERTIFICATE"], os.environ["KV_KEY"], os.environ["KV_CLIENT_AUTHORITY"])
