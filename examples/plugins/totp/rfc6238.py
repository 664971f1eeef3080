"""Time-based one-time passwords (RFC 6238), made of those of RFC 4226."""

import base64
import hashlib
import hmac
import struct

ALGORITHMS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}


class Totp:
    """The codes of one secret (bytes). `period` is in seconds; a step is the number of a period since 1970."""

    def __init__(self, secret, algorithm="sha1", digits=6, period=30):
        self._secret = secret
        self._digest = ALGORITHMS[algorithm]
        self._digits = digits
        self._period = period

    def step_at(self, seconds):
        return int(seconds) // self._period

    def code(self, step):
        """The code of a step, as text (RFC 4226 section 5.3)."""
        digest = hmac.new(self._secret, struct.pack(">Q", step), self._digest).digest()
        offset = digest[-1] & 0x0F
        number = struct.unpack(">I", digest[offset:offset + 4])[0] & 0x7FFFFFFF
        return "{:0{}d}".format(number % 10 ** self._digits, self._digits)

    def find(self, code, seconds, drift):
        """The latest step, at most `drift` steps away from the time, whose code this is; `None` where there is none."""
        now = self.step_at(seconds)
        found = None
        for step in range(max(0, now - drift), now + drift + 1):
            # All of them are compared, each in constant time: how long it takes tells nothing about the code.
            if hmac.compare_digest(self.code(step).encode("ascii"), code.encode("utf-8", "replace")):
                found = step
        return found


def read_secret(text):
    """The bytes of a secret in base 32 (RFC 4648 section 6), as authenticator apps take it.

    Raises `ValueError`, which does not repeat the secret.
    """
    compact = text.replace(" ", "").replace("-", "").rstrip("=").upper()
    try:
        secret = base64.b32decode(compact + "=" * (-len(compact) % 8))
    except ValueError:
        secret = b""
    if not secret:
        raise ValueError("not base 32: the letters A to Z and the digits 2 to 7")
    return secret
