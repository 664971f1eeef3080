#!/usr/bin/env pluginwrapper3
"""Looks passwords up in its configuration, by account@server."""

from safeguard.sessions.plugin import CredentialStorePlugin


class Plugin(CredentialStorePlugin):
    """The SDK sets `account` and `asset`: whom to be, and where. It calls the hooks for each pair that it tries."""

    def do_get_password_list(self):
        """Ask your store here. None says that nothing was found."""
        password = self.plugin_configuration.get("passwords", "{}@{}".format(self.account, self.asset))
        if not password:
            return None
        self.logger.info("Check-out for %s on %s", self.account, self.asset)
        return {"passwords": [password]}

    def do_get_private_key_list(self):
        """Keys would be {"private_keys": [["ssh-rsa", "-----BEGIN RSA PRIVATE KEY-----..."]]}."""
        return None

    def do_check_in_credential(self):
        """Called once for each credential that was checked out, when it is no longer needed."""
        self.logger.info("Check-in for %s on %s", self.account, self.asset)
