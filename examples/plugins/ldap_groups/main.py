#!/usr/bin/env pluginwrapper3
"""Lets the members of LDAP groups log in where the rules of their groups allow it."""

from safeguard.sessions.plugin import AAPlugin, AAResponse, LDAPOperationError, LDAPServer, LDAPUserNotFound

from rules import groups_for, read_rules


class Plugin(AAPlugin):
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
        account = self.connection.server_username or ""
        hosts = [host for host in (self.connection.server_hostname, self.connection.server_ip) if host]
        wanted = groups_for(read_rules(self.plugin_configuration), account, hosts)
        if not wanted:
            return self._deny("No rule has this login", "No group may log in there.")
        try:
            # The gateway asks its LDAP server policy [ldap_server] name; nested groups are that policy's business.
            members = LDAPServer.from_config(self.plugin_configuration).filter_user_groups(self.username, wanted)
        except LDAPUserNotFound:
            return self._deny("The LDAP server does not know the user", "You are in no group that may log in there.")
        except LDAPOperationError as error:
            self.logger.error("The LDAP server cannot be asked: %s", error)
            return self._deny("The LDAP server cannot be asked", "Your groups cannot be looked up. Try again later.")
        if not members:
            return self._deny("In none of " + ", ".join(wanted), "You are in no group that may log in there.")
        return AAResponse.accept("Member of " + members[0]).with_additional_metadata({"ldap_groups": members})

    def _deny(self, reason, told):
        """`reason` is for the session's record; `told` for the person, who need not learn the names of the groups."""
        self.logger.info("%s may not log in: %s", self.username, reason)
        return AAResponse.deny(reason, deny_reason=told)
