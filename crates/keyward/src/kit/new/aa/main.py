#!/usr/bin/env pluginwrapper3
"""Asks for a word, and allows the servers that the configuration lists."""

import fnmatch

from safeguard.sessions.plugin import AAPlugin, AAResponse


class Plugin(AAPlugin):
    def do_authenticate(self):
        """The SDK has asked for the word already, with the prompt of [auth]; `otp=...@` in the login string answers too."""
        if self.mfa_password == self.plugin_configuration.get("access", "word", required=True):
            return AAResponse.accept()
        self.logger.info("A wrong word from %s", self.connection.client_ip)
        return AAResponse.deny(deny_reason="That is not the word.")

    def do_authorize(self):
        server = self.connection.server_hostname or self.connection.server_ip
        for pattern in self.plugin_configuration.get("access", "servers", default="").split(","):
            if fnmatch.fnmatchcase(server, pattern.strip()):
                return AAResponse.accept().with_additional_metadata({"reason": "allowed by " + pattern.strip()})
        return AAResponse.deny(deny_reason="You may not log in there.")

    def do_session_ended(self):
        self.logger.info("The session has ended")
