#!/usr/bin/env pluginwrapper3
"""Hands out fixed passwords and private keys from a file."""

import os

from safeguard.sessions.plugin import CredentialStorePlugin
from safeguard.sessions.plugin.plugin_base import lazy_property

from credentials import Credentials

DEFAULTS = """
[credentials]
file = credentials.ini
"""


class Plugin(CredentialStorePlugin):
    """The SDK calls each `do_` method with every `self.account` and `self.asset` until one finds something.

    A file that cannot be used is an error, not "nothing found": the session ends, and its record says why.
    """

    def __init__(self, configuration):
        super().__init__(configuration, DEFAULTS)

    def do_get_password_list(self):
        return {"passwords": self._credentials.passwords(self.account, self.asset)}

    def do_get_private_key_list(self):
        return {"private_keys": self._credentials.private_keys(self.account, self.asset)}

    @lazy_property
    def _credentials(self):
        """Read once a call, when it is needed first: an edit of the file counts from the next call on."""
        # A relative path starts at the state directory, which belongs to this plugin instance alone.
        directory = os.environ["SCB_PLUGIN_STATE_DIRECTORY"]
        return Credentials.read(os.path.join(directory, self.plugin_configuration.get("credentials", "file")))
