#!/usr/bin/env pluginwrapper3
"""Asks for the code of an authenticator app (TOTP, RFC 6238)."""

import os
import time

from safeguard.sessions.plugin import AAPlugin, AAResponse
from safeguard.sessions.plugin.lockfile import lockfile_for
from safeguard.sessions.plugin.plugin_base import cookie_property

from ledger import LOCKED, RIGHT, USED, Ledger
from rfc6238 import ALGORITHMS, Totp, read_secret

DEFAULTS = """
[auth]
prompt = One-time code:
disable_echo = yes

[totp]
algorithm = sha1
digits = 6
period = 30
drift = 1

[limits]
tries = 3
max_failures = 10
pause = 300
"""


class Plugin(AAPlugin):
    def __init__(self, configuration):
        super().__init__(configuration, DEFAULTS)

    def do_authenticate(self):
        """Judges one code in each call. The SDK has asked for the first, under the key `otp`."""
        code = self.connection.key_value_pairs.get(self._key(), "") if self.tries else self.mfa_password
        verdict = self._judge(code.replace(" ", ""))
        if verdict == RIGHT:
            return AAResponse.accept("One-time code accepted")
        self.logger.info("The one-time code of %s is %s", self.mfa_identity, verdict)
        if verdict == LOCKED:
            return AAResponse.deny("Too many wrong one-time codes", deny_reason="Too many wrong codes. Try again later.")
        self.tries += 1
        if self.tries >= self._limit("tries"):
            return AAResponse.deny("Wrong one-time code", deny_reason="The one-time code was wrong.")
        return self._ask_again(verdict)

    def do_authorize(self):
        """Who may go where is not this plugin's business."""
        return AAResponse(verdict="ACCEPT")

    @cookie_property
    def tries(self):
        """How many codes of this session were wrong so far. Each call is a new process: the cookie remembers."""
        return 0

    def _key(self):
        """A key for each try: a code in the login string must not stand in for the later ones."""
        return "otp_{}".format(self.tries + 1)

    def _ask_again(self, verdict):
        why = "That code has been used; wait for the next one. " if verdict == USED else "Wrong code. "
        prompt = why + self.plugin_configuration.get("auth", "prompt") + " "
        hidden = self.plugin_configuration.getboolean("auth", "disable_echo")
        return AAResponse.need_info(prompt, self._key(), hidden)

    def _judge(self, code):
        # The names of options are not case sensitive, so the ledger's must not be either: `Alice` and `alice` have the
        # same secret, and each code counts once for both.
        user = self.mfa_identity.lower()
        totp, now = self._totp(user), time.time()
        drift = self.plugin_configuration.getint("totp", "drift")

        def find():
            # A user without secret is wrong like anybody else: nobody learns who has one.
            return totp.find(code, now, drift) if totp else None

        return self._ledger().judge(user, now, find)

    def _totp(self, user):
        config = self.plugin_configuration
        text = config.get("secrets", user)
        if not text:
            self.logger.warning("[secrets] has no secret for %s", user)
            return None
        try:
            secret = read_secret(text)
        except ValueError as error:
            # Not from the error that it came from: a traceback must not show the secret.
            raise ValueError("[secrets] {}: {}".format(user, error)) from None
        algorithm = config.getienum("totp", "algorithm", tuple(ALGORITHMS))
        return Totp(secret, algorithm, config.getint("totp", "digits"), config.getint("totp", "period"))

    def _ledger(self):
        def lock(path):
            # Ten seconds: other calls hold it for a moment only, and the gateway takes it from those that die.
            return lockfile_for(path, timeout=0.02, retries=500)

        # Set by the gateway for each plugin instance; what is in it is kept.
        directory = os.path.join(os.environ["SCB_PLUGIN_STATE_DIRECTORY"], "users")
        return Ledger(directory, lock, self._limit("max_failures"), self._limit("pause"))

    def _limit(self, option):
        return self.plugin_configuration.getint("limits", option)
