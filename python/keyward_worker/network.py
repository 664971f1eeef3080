"""Names of hosts, where the plugin's network is restricted: the gateway looks them up, and opens what it has told.

There is no way from here to a name server, since a question to one can carry anything outside. Connections themselves
are the kernel's and the gateway's matter: what is replaced here is a help, and no part of the confinement.
"""

import _socket
import sys

from . import services

_getaddrinfo = _socket.getaddrinfo


def install():
    """`socket` copies these when it is imported, which the environment may have done by now."""
    for module in (_socket, sys.modules.get("socket")):
        if module is not None:
            module.gethostbyname = gethostbyname
            module.gethostbyname_ex = gethostbyname_ex
    _socket.getaddrinfo = getaddrinfo


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    numeric = flags | _socket.AI_NUMERICHOST
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii")
    if not host:
        return _getaddrinfo(host, port, family, type, proto, flags)
    try:
        return _getaddrinfo(host, port, family, type, proto, numeric)
    except _socket.gaierror:
        if flags & _socket.AI_NUMERICHOST:
            raise
    found = []
    for address in _resolve(host):
        try:
            found.extend(_getaddrinfo(address, port, family, type, proto, numeric))
        except _socket.gaierror:
            # An address of another family than the one that is asked for.
            pass
    if not found:
        raise _socket.gaierror(_socket.EAI_NONAME, "{} has no address of this family".format(host))
    return found


def gethostbyname(hostname):
    return getaddrinfo(hostname, None, _socket.AF_INET, _socket.SOCK_STREAM)[0][4][0]


def gethostbyname_ex(hostname):
    found = getaddrinfo(hostname, None, _socket.AF_INET, _socket.SOCK_STREAM)
    return hostname, [], [entry[4][0] for entry in found]


def _resolve(host):
    try:
        return services.ask("network.resolve", host=host)
    except services.NotFound as error:
        raise _socket.gaierror(_socket.EAI_NONAME, str(error))
