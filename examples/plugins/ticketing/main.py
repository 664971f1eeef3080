#!/usr/bin/env pluginwrapper3
"""Lets people in who have a ticket for what they want to do."""

import contextlib
import time

from safeguard.sessions.plugin import AAPlugin, AAResponse
from safeguard.sessions.plugin.plugin_base import cookie_property
from safeguard.sessions.plugin.requests_tls import RequestsTLS

from tickets import NUMBER, TicketError, TicketServer, objection

DEFAULTS = """
[ticketing]
prompt = Ticket number:
tries = 3
timeout = 10
"""


class Plugin(AAPlugin):
    def __init__(self, configuration):
        super().__init__(configuration, DEFAULTS)

    def _extract_username(self):
        """Only whom the gateway has authenticated. The SDK would else take any name that the client sends."""
        return self.connection.gateway_user

    def _authentication_steps(self):
        """Authorization is all that this plugin does: there is nothing to ask here."""
        yield self._check_gateway_user
        yield self._accept

    def _authorization_steps(self):
        yield self._check_gateway_user
        yield from super()._authorization_steps()

    def _check_gateway_user(self):
        if not self.connection.gateway_user:
            reason = "The connection has no gateway authentication"
            return AAResponse.deny(reason, deny_reason="This connection does not say who you are.")
        return None

    @staticmethod
    def _accept():
        return AAResponse.accept("Authenticated by the gateway")

    def do_authorize(self):
        """Each call looks at one number: of the login string (`ticket=CHG-17@...`), or the answer to the last question."""
        key = self._key()
        number = self.connection.key_value_pairs.get(key)
        if number is None:
            return self._ask(key, "")
        number = number.strip().upper()
        try:
            why = self._look_at(number)
        except TicketError as error:
            self.logger.error("The ticket server has failed: %s", error)
            reason = "The ticket server cannot be asked"
            return AAResponse.deny(reason, deny_reason=reason + ". Try again later.")
        if why is None:
            return AAResponse.accept("Ticket " + number).with_additional_metadata({"ticket": number})
        self.logger.info("Ticket %r of %s: %s", number, self.username, why)
        self.tries += 1
        if self.tries < self.plugin_configuration.getint("ticketing", "tries"):
            return self._ask(self._key(), "{}: {}. ".format(number or "That is no ticket", why))
        return AAResponse.deny("No ticket allows it", deny_reason="No ticket allows this login: {}.".format(why))

    def do_session_ended(self):
        """Only the session that had the ticket's permission leaves a note. `self.connection` has nothing but the id."""
        number = self.cookie.get("ticket")
        if number:
            with self._server() as server:
                server.add_note(number, "Session {} has ended".format(self.connection.session_id))

    @cookie_property
    def tries(self):
        """How many numbers were no good. Each call is a new process: the cookie remembers."""
        return 0

    def _key(self):
        """A key for each try: a number in the login string must not stand in for the later ones."""
        return "ticket_{}".format(self.tries + 1) if self.tries else "ticket"

    def _ask(self, key, before):
        return AAResponse.need_info(before + self.plugin_configuration.get("ticketing", "prompt") + " ", key)

    def _look_at(self, number):
        """Why not; or `None`, and the ticket has a note of this session."""
        # Nothing else becomes a part of the path that the server is asked for.
        if not NUMBER.match(number):
            return "a number looks like CHG-17"
        connection = self.connection
        with self._server() as server:
            ticket = server.ticket(number)
            if ticket is None:
                return "there is no such ticket"
            account = connection.server_username or ""
            hosts = [host for host in (connection.server_hostname, connection.server_ip) if host]
            why = objection(ticket, self.username, account, hosts, time.time())
            if why is None:
                note = "Session {} of {} as {} on {} begins, from {}"
                where = hosts[0] if hosts else "?"
                server.add_note(
                    number, note.format(connection.session_id, self.username, account, where, connection.client_ip)
                )
                self.cookie["ticket"] = number
            return why

    @contextlib.contextmanager
    def _server(self):
        config = self.plugin_configuration
        address = config.get("ticketing", "address", required=True)
        token = config.get("ticketing", "token", required=True)
        if not address.startswith("https://"):
            raise TicketError("[ticketing] address must begin with https://")
        # The SDK's session verifies nothing where no authority is configured: then we do not go there.
        config.get_ca_certificate("tls", "ca_cert", required=True)
        with RequestsTLS.from_config(config).open_session() as session:
            yield TicketServer(session, address, token, config.getfloat("ticketing", "timeout"))
