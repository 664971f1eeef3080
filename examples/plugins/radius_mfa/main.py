#!/usr/bin/env pluginwrapper3
"""Multi-factor authentication by a RADIUS server: PAP or CHAP, and whatever the server asks besides."""

import os

from safeguard.sessions.plugin import AAPlugin, AAResponse
from safeguard.sessions.plugin.mfa_client import MFAClient, MFACommunicationError, MFAServiceUnreachable

from radius import packet
from radius.client import NoAnswer, RadiusClient, parse_server

DEFAULTS = """
[radius]
method = pap
timeout = 3
tries = 3
require_message_authenticator = yes

[auth]
prompt = One-time password:
disable_echo = yes
"""

MAX_MESSAGE = 1000  # characters of a Reply-Message that a person is shown


class Plugin(AAPlugin):
    def __init__(self, configuration):
        super().__init__(configuration, DEFAULTS)

    def do_authenticate(self):
        """The SDK has asked for the first password, under the key `otp`."""
        challenge = self.cookie.get("challenge")
        if challenge is None:
            password, state = self.mfa_password, b""
        else:
            password = self.connection.key_value_pairs.get(challenge["key"], "")
            state = bytes.fromhex(challenge["state"])
        return RadiusMfa(self, state).execute_authenticate(self.username, self.mfa_identity, password)

    def do_authorize(self):
        """Who may go where is not this plugin's business."""
        return AAResponse(verdict="ACCEPT")


class RadiusMfa(MFAClient):
    """One round: a password goes out, with the `state` of the challenge that it answers; a verdict comes back."""

    def __init__(self, plugin, state):
        super().__init__("RADIUS")
        self._plugin = plugin
        self._state = state
        self._config = plugin.plugin_configuration
        self._secret = self._config.get("radius", "secret", required=True).encode("utf-8")
        self._method = self._config.getienum("radius", "method", ("pap", "chap"))
        self._client = RadiusClient(
            [parse_server(text) for text in self._config.getlist("radius", "servers", required=True)],
            self._secret,
            self._config.getfloat("radius", "timeout"),
            self._config.getint("radius", "tries"),
            self._config.getboolean("radius", "require_message_authenticator"),
            self.logger,
        )

    def otp_authenticate(self, mfa_identity, otp):
        return self._verdict(self._ask(mfa_identity, otp))

    def push_authenticate(self, mfa_identity):
        """Nothing was typed: many servers then send a push notification, or a challenge."""
        return self._verdict(self._ask(mfa_identity, ""))

    def _ask(self, user, password):
        def attributes(identifier, authenticator):
            # The answer to a challenge is always hidden as User-Password (RFC 2865 section 4.4).
            if self._method == "chap" and not self._state:
                proof = self._chap(password)
            else:
                hidden = packet.hide_password(password.encode("utf-8"), self._secret, authenticator)
                proof = [(packet.USER_PASSWORD, hidden)]
            return self._who(user) + proof

        try:
            return self._client.ask(attributes)
        except NoAnswer as error:
            raise MFAServiceUnreachable(str(error))
        except packet.PacketError as error:
            raise MFACommunicationError(str(error))

    def _who(self, user):
        gateway = self._config.get("radius", "nas_identifier") or self._plugin.box_configuration.get_gateway_fqdn()
        described = [
            (packet.USER_NAME, user.encode("utf-8")),
            (packet.SERVICE_TYPE, packet.AUTHENTICATE_ONLY),
            (packet.NAS_IDENTIFIER, (gateway or "gateway").encode("utf-8")),
            (packet.CALLING_STATION_ID, (self._plugin.connection.client_ip or "").encode("utf-8")),
            (packet.STATE, self._state),
        ]
        return [(kind, value) for kind, value in described if value]

    @staticmethod
    def _chap(password):
        challenge, identifier = os.urandom(16), os.urandom(1)[0]
        proof = packet.chap_password(identifier, password.encode("utf-8"), challenge)
        return [(packet.CHAP_PASSWORD, proof), (packet.CHAP_CHALLENGE, challenge)]

    def _verdict(self, response):
        if response.code == packet.ACCESS_ACCEPT:
            return AAResponse.accept("The RADIUS server has accepted")
        message = shown(response)
        if response.code == packet.ACCESS_CHALLENGE:
            return self._challenge(response, message)
        told = "The RADIUS server has refused the login" + (": " + message if message else ".")
        return AAResponse.deny("The RADIUS server has refused", deny_reason=told)

    def _challenge(self, response, message):
        """Asks what the server asks, and keeps its State for the call that has the answer (RFC 2865 section 5.24)."""
        states = [value for kind, value in response.attributes if kind == packet.STATE]
        if len(states) != 1:
            raise MFACommunicationError("the RADIUS server's challenge has no State")
        challenge = {"key": "radius_answer", "state": states[0].hex()}
        prompt = (message or self._config.get("auth", "prompt")) + " "
        hidden = self._config.getboolean("auth", "disable_echo")
        return AAResponse.need_info(prompt, challenge["key"], hidden).with_cookie({"challenge": challenge})


def shown(response):
    """The server's words for the person (RFC 2865 section 5.18), without what could play tricks on a terminal."""
    words = b"".join(value for kind, value in response.attributes if kind == packet.REPLY_MESSAGE)
    text = words.decode("utf-8", "replace")[:MAX_MESSAGE]
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()
