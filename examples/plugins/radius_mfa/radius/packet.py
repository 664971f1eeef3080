"""RADIUS packets (RFC 2865), with the Message-Authenticator of RFC 2869 section 5.14.

Bytes in, bytes out: there is no socket here, so that each rule can be tested without a server.
"""

import collections
import hashlib
import hmac
import struct

ACCESS_REQUEST = 1
ACCESS_ACCEPT = 2
ACCESS_REJECT = 3
ACCESS_CHALLENGE = 11

USER_NAME = 1
USER_PASSWORD = 2
CHAP_PASSWORD = 3
SERVICE_TYPE = 6
REPLY_MESSAGE = 18
STATE = 24
CALLING_STATION_ID = 31
NAS_IDENTIFIER = 32
CHAP_CHALLENGE = 60
MESSAGE_AUTHENTICATOR = 80

AUTHENTICATE_ONLY = struct.pack(">I", 8)  # a value of Service-Type

MAX_PACKET = 4096  # RFC 2865 section 3
MAX_VALUE = 253  # an attribute's length octet counts itself and the type
MAX_PASSWORD = 128  # RFC 2865 section 5.2
_HEADER = 20
_DIGEST = 16


class PacketError(Exception):
    """A value that no packet can hold."""


class ForgedResponse(Exception):
    """Not an answer to our request from somebody who knows the shared secret. To be dropped, as if it never came."""


Response = collections.namedtuple("Response", "code attributes")
Response.__doc__ = "A checked response; `attributes` is a list of pairs of type and bytes, in their order."


def encode_request(identifier, authenticator, attributes, secret):
    """An Access-Request of `attributes` (pairs of type and bytes), signed with a Message-Authenticator.

    That comes first: a server or proxy can then refuse a forged packet before it has read the rest of it.
    """
    signature = (MESSAGE_AUTHENTICATOR, bytes(_DIGEST))
    body = b"".join(_attribute(kind, value) for kind, value in [signature] + list(attributes))
    if _HEADER + len(body) > MAX_PACKET:
        raise PacketError("the request would be longer than {} bytes".format(MAX_PACKET))
    header = struct.pack(">BBH", ACCESS_REQUEST, identifier, _HEADER + len(body)) + authenticator
    digest = hmac.new(secret, header + body, hashlib.md5).digest()
    return header + body[:2] + digest + body[2 + _DIGEST:]


def _attribute(kind, value):
    if len(value) > MAX_VALUE:
        raise PacketError("attribute {} is longer than {} bytes".format(kind, MAX_VALUE))
    return struct.pack(">BB", kind, 2 + len(value)) + value


def hide_password(password, secret, authenticator):
    """The value of User-Password (RFC 2865 section 5.2)."""
    if len(password) > MAX_PASSWORD:
        raise PacketError("the password is longer than {} bytes".format(MAX_PASSWORD))
    padded = password + bytes(-len(password) % _DIGEST or (0 if password else _DIGEST))
    hidden, before = b"", authenticator
    for start in range(0, len(padded), _DIGEST):
        mask = hashlib.md5(secret + before).digest()
        before = bytes(a ^ b for a, b in zip(padded[start:start + _DIGEST], mask))
        hidden += before
    return hidden


def chap_password(identifier, password, challenge):
    """The value of CHAP-Password (RFC 2865 section 5.3): the identifier of the CHAP exchange, and its response."""
    prefix = bytes([identifier])
    return prefix + hashlib.md5(prefix + password + challenge).digest()


def decode_response(datagram, request, secret, require_signature=True):
    """The response in `datagram` to `request` (as `encode_request` made it), once it has proved where it is from.

    Without `require_signature`, a response need not have a Message-Authenticator. Such a response can be forged by
    whoever sits on the path and computes MD5 collisions (CVE-2024-3596).
    """
    if not _HEADER <= len(datagram) <= MAX_PACKET:
        raise ForgedResponse("{} bytes".format(len(datagram)))
    code, identifier, length = struct.unpack(">BBH", datagram[:4])
    if not _HEADER <= length <= len(datagram):
        raise ForgedResponse("it claims {} of {} bytes".format(length, len(datagram)))
    datagram = datagram[:length]  # RFC 2865 section 3: what follows is padding
    if code not in (ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE) or identifier != request[1]:
        raise ForgedResponse("code {} with identifier {}".format(code, identifier))
    head, authenticator, body = datagram[:4], datagram[4:_HEADER], datagram[_HEADER:]
    asked = request[4:_HEADER]
    if not hmac.compare_digest(hashlib.md5(head + asked + body + secret).digest(), authenticator):
        raise ForgedResponse("the Response Authenticator is wrong; is the shared secret the same?")
    attributes = _attributes(body)
    _check_signature(head + asked, body, attributes, secret, require_signature)
    return Response(code, [(kind, value) for kind, value, _ in attributes])


def _attributes(body):
    """The attributes as triples of type, value and the place of the value in `body`."""
    found, place = [], 0
    while place < len(body):
        size = body[place + 1] if place + 1 < len(body) else 0
        if size < 2 or place + size > len(body):
            raise ForgedResponse("its attributes are cut off")
        found.append((body[place], body[place + 2:place + size], place + 2))
        place += size
    return found


def _check_signature(head, body, attributes, secret, required):
    """RFC 2869 section 5.14: computed with the request's authenticator and zeros in place of the signature."""
    signatures = [(value, place) for kind, value, place in attributes if kind == MESSAGE_AUTHENTICATOR]
    if not signatures and not required:
        return
    if len(signatures) != 1 or len(signatures[0][0]) != _DIGEST:
        raise ForgedResponse("it does not have exactly one Message-Authenticator")
    signature, place = signatures[0]
    blank = body[:place] + bytes(_DIGEST) + body[place + _DIGEST:]
    if not hmac.compare_digest(hmac.new(secret, head + blank, hashlib.md5).digest(), signature):
        raise ForgedResponse("its Message-Authenticator is wrong")
