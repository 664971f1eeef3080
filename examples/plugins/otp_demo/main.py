#!/usr/bin/env pluginwrapper3
"""Asks for a one-time code, then allows the users and targets that the configuration lists."""

import base64
import fnmatch
import hashlib
import hmac
import struct
import time

from safeguard.sessions.plugin import AAPlugin, AAResponse

TRIES = 3
PERIOD = 30  # seconds, RFC 6238


class Plugin(AAPlugin):
    def do_authenticate(self):
        """The SDK has asked for the first code, under the key `otp`; a wrong one is asked for again."""
        for key in self._keys():
            code = self.connection.key_value_pairs.get(key)
            if code is None:
                return AAResponse.need_info(self._prompt(), key, self._disable_echo())
            if self._is_right(code.strip()):
                return AAResponse.accept("One-time code accepted")
            self.logger.info("Wrong one-time code for %s", self.username)
        return AAResponse.deny("Wrong one-time code", deny_reason="The one-time code was wrong.")

    def do_authorize(self):
        account = self.connection.server_username or ""
        hosts = [host for host in (self.connection.server_hostname, self.connection.server_ip) if host]
        for pattern in self._allowed_targets():
            for host in hosts:
                if fnmatch.fnmatchcase("{}@{}".format(account, host).lower(), pattern):
                    return self._accept(pattern)
        self.logger.info("No [access] line lets %s be %s on %s", self.username, account, hosts)
        return AAResponse.deny("No [access] line allows it", deny_reason="You may not log in there.")

    def do_session_ended(self):
        self.logger.info("Session of %s has ended", self.cookie.get("username", "somebody unknown"))

    def _accept(self, pattern):
        metadata = {"reason": "Allowed by " + pattern}
        ticket = self.connection.key_value_pairs.get("ticket")
        if ticket:
            metadata["ticket"] = ticket
        return AAResponse.accept().with_additional_metadata(metadata)

    def _allowed_targets(self):
        """The patterns of the user's own line of [access], then those of the line `*`."""
        for user in (self.username.lower(), "*"):
            line = self.plugin_configuration.get("access", user, default="")
            for pattern in line.lower().split(","):
                if pattern.strip():
                    yield pattern.strip()

    @staticmethod
    def _keys():
        """A key for each try: a code in the login string must not stand in for the later ones."""
        return ["otp"] + ["otp_{}".format(n) for n in range(2, TRIES + 1)]

    def _prompt(self):
        return "Wrong code. " + self.plugin_configuration.get("auth", "prompt", default="One-time code:") + " "

    def _disable_echo(self):
        return self.plugin_configuration.getboolean("auth", "disable_echo", default=False)

    def _is_right(self, code):
        fixed = self.plugin_configuration.get("demo", "code", default="")
        if fixed and hmac.compare_digest(code.encode(), fixed.encode()):
            return True
        secret = self.plugin_configuration.get("secrets", self.username) or self.plugin_configuration.get("otp", "secret")
        if not secret:
            return False
        now = int(time.time()) // PERIOD
        # One step of either side, for clocks that differ a little (RFC 6238 section 5.2).
        steps = [step for step in (now, now - 1, now + 1) if hmac.compare_digest(code.encode(), totp(secret, step))]
        return bool(steps) and self._is_first_use(steps[0])

    def _is_first_use(self, step):
        """A code counts once (RFC 6238 section 5.2); the gateway's memory cache is shared by all calls."""
        from safeguard.sessions.plugin.memory_cache import MemoryCache

        cache = MemoryCache.from_config(self.plugin_configuration, prefix="otp_demo", ttl=4 * PERIOD)
        key = "{}:{}".format(self.username, step)
        if cache.get(key):
            self.logger.info("The one-time code of %s has been used before", self.username)
            return False
        cache.set(key, True)
        return True


def totp(secret, step):
    """The six digits of a time step (RFC 4226 section 5.3), as bytes. The secret is in base 32."""
    secret = secret.replace(" ", "").upper()
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset:offset + 4])[0] & 0x7FFFFFFF
    return "{:06d}".format(number % 10 ** 6).encode()
