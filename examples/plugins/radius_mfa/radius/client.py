"""The exchange over UDP: one request, repeated until a genuine answer comes, from one server after the other."""

import collections
import os
import re
import socket
import time

from .packet import MAX_PACKET, ForgedResponse, decode_response, encode_request

DEFAULT_PORT = 1812

Server = collections.namedtuple("Server", "host port")

_SERVER = re.compile(
    r"^(?:(?:\[(?P<bracketed>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:\[\]]+))(?::(?P<port>[0-9]{1,5}))?"
    r"|(?P<bare>[0-9a-fA-F.]*:[0-9a-fA-F.]*:[0-9a-fA-F:.]*))$"
)


class NoAnswer(Exception):
    """No server gave a genuine answer in time."""


def parse_server(text):
    """A `Server` of `host`, `host:port`, an address, or `[IPv6 address]:port`."""
    match = _SERVER.match(text.strip())
    port = int(match.group("port") or DEFAULT_PORT) if match else 0
    if not 0 < port < 65536:
        raise ValueError("{!r} is no RADIUS server; write host, host:port or [IPv6 address]:port".format(text))
    return Server(match.group("bracketed") or match.group("host") or match.group("bare"), port)


class RadiusClient:
    """Asks `servers` in their order; each gets `tries` datagrams, and `timeout` seconds after each.

    `secret` (bytes) is the one that all of them share with us.
    """

    def __init__(self, servers, secret, timeout, tries, require_signature, logger):
        self._servers = servers
        self._secret = secret
        self._timeout = timeout
        self._tries = tries
        self._require_signature = require_signature
        self._logger = logger

    def ask(self, attributes):
        """The first genuine response. `attributes(identifier, authenticator)` gives the attributes of a request:
        a hidden password depends on them.

        Raises `NoAnswer`, and `PacketError` for attributes that fit into no packet.
        """
        for server in self._servers:
            # Identifier and authenticator are unpredictable and used once (RFC 2865 section 3).
            identifier, authenticator = os.urandom(1)[0], os.urandom(16)
            listed = attributes(identifier, authenticator)
            request = encode_request(identifier, authenticator, listed, self._secret)
            try:
                return self._exchange(server, request)
            except OSError as error:
                self._logger.warning("RADIUS server %s:%s: %s", server.host, server.port, error)
        raise NoAnswer("no RADIUS server has answered")

    def _exchange(self, server, request):
        family, kind, protocol, _, address = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as connection:
            # A connected socket takes datagrams of this address only, and hears when the port is closed.
            connection.connect(address)
            for _ in range(self._tries):
                # The same bytes again: the server knows them as a repetition (RFC 2865 section 2.5).
                connection.send(request)
                response = self._genuine(connection, request)
                if response is not None:
                    return response
        raise socket.timeout("no answer to {} requests of {} s".format(self._tries, self._timeout))

    def _genuine(self, connection, request):
        """Waits for a genuine response. What is forged is dropped and does not end the wait: otherwise anybody
        could refuse a login by being faster than the server."""
        deadline = time.monotonic() + self._timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            connection.settimeout(left)
            try:
                datagram = connection.recv(MAX_PACKET + 1)
                return decode_response(datagram, request, self._secret, self._require_signature)
            except ForgedResponse as error:
                self._logger.warning("A RADIUS response is dropped: %s", error)
            except socket.timeout:
                return None
