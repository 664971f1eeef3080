"""The ticket server's API, and what a ticket has to say.

    GET  ADDRESS/tickets/NUMBER         200 with the ticket as a JSON object, 404 where there is none
    POST ADDRESS/tickets/NUMBER/notes   {"text": "..."}: adds a note

A ticket has `state`, `assignee`, `targets` (patterns of account@host) and, if it has a window, `begins` and `ends` in
seconds since 1970. Change this module for a ticket server of your own; the rest of the plugin stays as it is.
"""

import fnmatch
import json
import re

import requests

MAX_BODY = 256 * 1024  # bytes of a response
NUMBER = re.compile(r"[A-Z]{1,10}-[0-9]{1,10}\Z")


class TicketError(Exception):
    """The server cannot be reached, or its answer makes no sense."""


class TicketServer:
    """`session` is one of `requests`, `token` the secret that the server knows us by."""

    def __init__(self, session, address, token, timeout):
        self._session = session
        self._address = address.rstrip("/")
        self._headers = {"Authorization": "Bearer " + token, "Accept": "application/json"}
        self._timeout = timeout

    def ticket(self, number):
        """The ticket as a dict; `None` where there is none."""
        status, content = self._exchange("GET", number)
        if status == 404:
            return None
        try:
            ticket = json.loads(content.decode("utf-8"))
        except ValueError:
            raise TicketError("ticket {}: the answer is no JSON".format(number)) from None
        if status != 200 or not isinstance(ticket, dict):
            raise TicketError("ticket {}: status {}".format(number, status))
        return ticket

    def add_note(self, number, text):
        status, _ = self._exchange("POST", number + "/notes", {"text": text})
        if status not in (200, 201, 204):
            raise TicketError("note to ticket {}: status {}".format(number, status))

    def _exchange(self, method, path, body=None):
        try:
            with self._session.request(
                method,
                "{}/tickets/{}".format(self._address, path),
                json=body,
                headers=self._headers,
                timeout=self._timeout,
                # Not to another server: the token is for this one.
                allow_redirects=False,
                stream=True,
            ) as response:
                content = b""
                for piece in response.iter_content(65536):
                    content += piece
                    if len(content) > MAX_BODY:
                        raise TicketError("{}: the answer is longer than {} bytes".format(path, MAX_BODY))
                return response.status_code, content
        except requests.RequestException as error:
            raise TicketError("{}: {}".format(path, type(error).__name__)) from None


def objection(ticket, user, account, hosts, now):
    """Why this ticket does not let `user` log in as `account` on a host with these names; `None` where it does.

    What the ticket does not say counts as a no.
    """
    if ticket.get("state") != "approved":
        return "it is not approved"
    if not user or ticket.get("assignee") != user:
        return "it is not assigned to you"
    begins, ends = ticket.get("begins", now), ticket.get("ends", now)
    if not all(isinstance(time, (int, float)) for time in (begins, ends)) or not begins <= now <= ends:
        return "this is not its time"
    targets = ticket.get("targets")
    patterns = [target for target in targets if isinstance(target, str)] if isinstance(targets, list) else []
    if not any(_allows(pattern, account, host) for pattern in patterns for host in hosts):
        return "it is not for this login"
    return None


def _allows(pattern, account, host):
    """Names of hosts are not case sensitive, names of accounts are."""
    wanted_account, _, wanted_host = pattern.rpartition("@")
    return fnmatch.fnmatchcase(account, wanted_account) and fnmatch.fnmatchcase(host.lower(), wanted_host.lower())
