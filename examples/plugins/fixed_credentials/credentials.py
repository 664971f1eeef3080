"""The file of credentials: a section for each `account@server`, in the INI form of `configparser`."""

import configparser
import fnmatch
import os
import stat

MAX_FILE = 1024 * 1024  # bytes


class CredentialsError(Exception):
    """The file cannot be used. The message says why, and never what is in it."""


class Credentials:
    def __init__(self, sections):
        """`sections` are pairs of a pattern and a dict of options, in the order of the file."""
        self._sections = sections

    @classmethod
    def read(cls, path):
        parser = configparser.RawConfigParser(default_section=None)
        try:
            parser.read_string(_text(path))
        except configparser.Error as error:
            # Its own words repeat the line that it stumbles over, which may hold a password.
            where = getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", ())), "?")
            raise CredentialsError("{}: line {}: {}".format(path, where, type(error).__name__)) from None
        return cls([(name, dict(parser.items(name))) for name in parser.sections()])

    def passwords(self, account, server):
        """In the order of the file: the first one is tried first."""
        options = self._options(account, server)
        return [value for name, value in options.items() if name.split("_")[0] == "password" and value]

    def private_keys(self, account, server):
        """Pairs of type and PEM text, in the order of the file."""
        options = self._options(account, server)
        keys = [value for name, value in options.items() if name.split("_")[:2] == ["private", "key"] and value]
        return [(_key_type(key), key.strip() + "\n") for key in keys]

    def _options(self, account, server):
        """Those of the first section that matches. Names of servers are not case sensitive, names of accounts are."""
        for pattern, options in self._sections:
            wanted_account, _, wanted_server = pattern.rpartition("@")
            if fnmatch.fnmatchcase(account, wanted_account) and fnmatch.fnmatchcase(
                server.lower(), wanted_server.lower()
            ):
                return options
        return {}


def _text(path):
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise CredentialsError("{} is not a file".format(path))
            if mode & (stat.S_IWGRP | stat.S_IRWXO):
                raise CredentialsError("{} is open to other users; mend it with: chmod 600 {}".format(path, path))
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise CredentialsError("{}: {}".format(path, error.strerror)) from None
    if len(content) > MAX_FILE:
        raise CredentialsError("{} is larger than {} bytes".format(path, MAX_FILE))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise CredentialsError("{} is not UTF-8".format(path)) from None


def _key_type(pem):
    return "ssh-dss" if "BEGIN DSA PRIVATE KEY" in pem else "ssh-rsa"
