#!/usr/bin/env pluginwrapper3
"""Hands out passwords and private keys by account@server, from its own configuration."""

import json
import os
import time

from safeguard.sessions.plugin import CredentialStorePlugin


class Plugin(CredentialStorePlugin):
    """The SDK calls each `do_` method with every `self.account` and `self.asset` until one finds something."""

    def do_get_password_list(self):
        password = self.plugin_configuration.get("credentials", self._name())
        return self._checked_out("passwords", password)

    def do_get_private_key_list(self):
        key = self.plugin_configuration.get_key("keys", self._name())
        return self._checked_out("private_keys", key and (key["type"], key["key"]))

    def do_check_in_credential(self):
        self.logger.info("Check-in of %s", self._name())
        self._note("check-in")

    def do_session_ended(self):
        self._note("session ended")

    def _checked_out(self, kind, credential):
        if not credential:
            return None
        self.logger.info("Check-out of %s", self._name())
        self._note("check-out")
        return {kind: [credential]}

    def _name(self):
        return "{}@{}".format(self.account, self.asset)

    def _note(self, event):
        """Adds a line to a file of the state directory, which the gateway keeps. Never a credential."""
        directory = os.environ.get("SCB_PLUGIN_STATE_DIRECTORY")
        if not directory:
            return
        entry = {"time": int(time.time()), "event": event, "session": self.connection.session_id}
        if self.account:
            entry["account"] = self._name()
        # One write in append mode: calls of other sessions write to the same file.
        with open(os.path.join(directory, "vault.log"), "a") as log:
            log.write(json.dumps(entry, sort_keys=True) + "\n")
