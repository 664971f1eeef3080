#!/usr/bin/env pluginwrapper3
"""Looks passwords up in its configuration, by account@server. Standard library only."""

import configparser


class Plugin:
    def __init__(self, configuration):
        """`configuration` is the text of the plugin instance, unparsed. Every hook call has a Plugin of its own."""
        parser = configparser.ConfigParser(interpolation=None, delimiters=["="])
        parser.read_string(configuration)
        self.passwords = parser["passwords"]

    def get_password_list(self, cookie, server_username, server_hostname, server_ip):
        """Ask your store here. None says that nothing was found."""
        account, server = server_username, server_hostname or server_ip
        password = self.passwords.get("{}@{}".format(account, server))
        if not password:
            return None
        print("Check-out for", account, "on", server)  # lines on stdout and stderr are logged
        # What a later call of the session has to know goes into the cookie: each call is a process of its own.
        cookie["checked_out"] = [account, server]
        return {"passwords": [password], "cookie": cookie}

    def get_private_key_list(self):
        """Keys would be {"private_keys": [["ssh-rsa", "-----BEGIN RSA PRIVATE KEY-----..."]]}."""
        return None

    def authentication_completed(self):
        """The gateway is logged in on the server."""
        return None

    def session_ended(self, cookie):
        """Called once for each session, whatever came of it."""
        if "checked_out" in cookie:
            account, server = cookie["checked_out"]
            print("Check-in for", account, "on", server)
