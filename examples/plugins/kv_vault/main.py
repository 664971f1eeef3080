#!/usr/bin/env pluginwrapper3
"""Checks credentials out of a key-value secret server, and in again."""

import contextlib
import hashlib
import time

from safeguard.sessions.plugin import CredentialStorePlugin

from https import open_session
from kv import Kv1, Kv2, Taken, join_path, log_in

DEFAULTS = """
[vault]
mount = secret
version = 2
path = hosts/{asset}/{account}
password_field = password
key_field = private_key
timeout = 10

[checkout]
path = checkouts
exclusive = no
"""

TEXT_LIMIT = 64 * 1024  # characters of a password or a key


class Plugin(CredentialStorePlugin):
    """A check-out is a record beside the secrets: who has which credential, in which session, since when.

    The SDK calls each `do_get_` method with every `self.account` and `self.asset` until one finds something, keeps
    those two in the cookie, and calls `do_check_in_credential` when [check-in-trigger] says so: at
    `authentication_completed`, or at `session_ended`.
    """

    def __init__(self, configuration):
        super().__init__(configuration, DEFAULTS)

    def do_get_password_list(self):
        return {"passwords": self._check_out(self._option("vault", "password_field"))}

    def do_get_private_key_list(self):
        keys = self._check_out(self._option("vault", "key_field"))
        # The SDK's own function knows RSA keys in PKCS#1; a key of another kind is logged and left out.
        typed = [(self.determine_key_type(key), key) for key in keys]
        return {"private_keys": [(kind, key) for kind, key in typed if kind]}

    def do_check_in_credential(self):
        """An error here is one of the call: the session's record then shows that the record stays in the server."""
        record = self.cookie.get("checkout")
        if not record:
            return
        with self._store() as store:
            # Not the record of somebody who got it after an administrator had removed ours.
            found = store.read(record)
            if found is not None and found.get("session") == self.connection.session_id:
                store.delete(record)
                self.logger.info("Check-in of %s@%s", self.account, self.asset)
        del self.cookie["checkout"]

    def _check_out(self, field):
        """A list with the secret's field, or an empty one: there is no such secret, or somebody else has it."""
        try:
            path, record = self._paths()
        except ValueError as error:
            self.logger.warning("No secret for this login: %s", error)
            return []
        with self._store() as store:
            secret = store.read(path)
            value = secret.get(field) if isinstance(secret, dict) else None
            if not isinstance(value, str) or not 0 < len(value) <= TEXT_LIMIT:
                return []
            try:
                store.create(record, self._receipt())
            except Taken:
                self.logger.warning("%s@%s is checked out in another session", self.account, self.asset)
                return []
        self.cookie["checkout"] = record
        self.logger.info("Check-out of %s@%s", self.account, self.asset)
        return [value]

    def _receipt(self):
        return {
            "session": self.connection.session_id,
            "gateway_user": self.connection.gateway_username or "",
            "client": self.connection.client_ip or "",
            "time": str(int(time.time())),
        }

    def _paths(self):
        """Of the secret, and of the record of its check-out. The names in them come from whoever connects."""
        template = self._option("vault", "path").strip("/").split("/")
        names = [name.format(account=self.account, asset=self.asset) for name in template]
        record = self._option("checkout", "path").strip("/").split("/") + ["{}@{}".format(self.account, self.asset)]
        if not self.plugin_configuration.getboolean("checkout", "exclusive"):
            # A record for each session: any number of them may have the credential at one time.
            record.append(hashlib.sha256(self.connection.session_id.encode("utf-8")).hexdigest())
        return join_path(*names), join_path(*record)

    @contextlib.contextmanager
    def _store(self):
        config = self.plugin_configuration
        kind = {"1": Kv1, "2": Kv2}[config.getienum("vault", "version", ("1", "2"))]
        address, timeout = config.get("vault", "address", required=True), config.getfloat("vault", "timeout")
        role, namespace = config.get("vault", "role"), config.get("vault", "namespace")
        with open_session(config) as session, log_in(session, address, timeout, role, namespace) as vault:
            yield kind(vault, self._option("vault", "mount").strip("/"))

    def _option(self, section, option):
        return self.plugin_configuration.get(section, option)
