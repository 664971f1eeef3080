"""The rules of the packet, on the examples of RFC 2865 section 7 and on packets that were tampered with."""

import hashlib
import hmac
import struct
import unittest

from radius import packet

SECRET = b"xyzzy5461"


def respond(request, code, attributes, secret=SECRET, sign=True):
    """A server's response, as RFC 2865 section 3 and RFC 2869 section 5.14 build it."""
    if sign:
        attributes = attributes + [(packet.MESSAGE_AUTHENTICATOR, bytes(16))]
    body = b"".join(struct.pack(">BB", kind, 2 + len(value)) + value for kind, value in attributes)
    head = struct.pack(">BBH", code, request[1], 20 + len(body))
    if sign:
        digest = hmac.new(secret, head + request[4:20] + body, hashlib.md5).digest()
        body = body[:-16] + digest
    return head + hashlib.md5(head + request[4:20] + body + secret).digest() + body


class Packets(unittest.TestCase):
    def setUp(self):
        self.request = packet.encode_request(7, bytes(range(16)), [(packet.USER_NAME, b"nemo")], SECRET)

    def test_a_password_is_hidden_as_in_the_rfc(self):
        authenticator = bytes.fromhex("0f403f9473978057bd83d5cb98f4227a")
        hidden = packet.hide_password(b"arctangent", SECRET, authenticator)
        self.assertEqual(hidden.hex(), "0dbe708d93d413ce3196e43f782a0aee")

    def test_the_response_of_the_rfc_is_genuine(self):
        request = b"\x01\x00\x00\x14" + bytes.fromhex("0f403f9473978057bd83d5cb98f4227a")
        response = bytes.fromhex("0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103")
        read = packet.decode_response(response, request, SECRET, require_signature=False)
        self.assertEqual(read.code, packet.ACCESS_ACCEPT)
        self.assertEqual(read.attributes, [(6, b"\0\0\0\1"), (15, b"\0\0\0\0"), (14, bytes([192, 168, 1, 3]))])

    def test_a_password_takes_whole_blocks(self):
        sizes = [len(packet.hide_password(b"x" * size, SECRET, bytes(16))) for size in (0, 1, 16, 17, 128)]
        self.assertEqual(sizes, [16, 16, 16, 32, 128])
        with self.assertRaises(packet.PacketError):
            packet.hide_password(b"x" * 129, SECRET, bytes(16))

    def test_a_request_is_signed_in_its_first_attribute(self):
        self.assertEqual(self.request[20:22], bytes([packet.MESSAGE_AUTHENTICATOR, 18]))
        blank = self.request[:22] + bytes(16) + self.request[38:]
        self.assertEqual(self.request[22:38], hmac.new(SECRET, blank, hashlib.md5).digest())
        self.assertEqual(struct.unpack(">H", self.request[2:4])[0], len(self.request))

    def test_a_value_that_does_not_fit_is_refused(self):
        with self.assertRaises(packet.PacketError):
            packet.encode_request(7, bytes(16), [(packet.USER_NAME, b"x" * 254)], SECRET)
        with self.assertRaises(packet.PacketError):
            packet.encode_request(7, bytes(16), [(packet.STATE, b"x" * 253)] * 16, SECRET)

    def test_chap_is_the_md5_of_identifier_password_and_challenge(self):
        proof = packet.chap_password(22, b"arctangent", b"c" * 16)
        self.assertEqual(proof, b"\x16" + hashlib.md5(b"\x16arctangent" + b"c" * 16).digest())

    def test_a_signed_response_is_read(self):
        response = respond(self.request, packet.ACCESS_CHALLENGE, [(packet.STATE, b"s"), (packet.REPLY_MESSAGE, b"m")])
        read = packet.decode_response(response + b"padding", self.request, SECRET)
        self.assertEqual(read.code, packet.ACCESS_CHALLENGE)
        self.assertEqual(read.attributes[:2], [(packet.STATE, b"s"), (packet.REPLY_MESSAGE, b"m")])

    def test_no_byte_of_a_response_can_be_changed_or_cut_off(self):
        response = respond(self.request, packet.ACCESS_REJECT, [(packet.REPLY_MESSAGE, b"no")])
        for place in range(len(response)):
            for bit in range(8):
                changed = bytearray(response)
                changed[place] ^= 1 << bit
                with self.assertRaises(packet.ForgedResponse):
                    packet.decode_response(bytes(changed), self.request, SECRET)
            with self.assertRaises(packet.ForgedResponse):
                packet.decode_response(response[:place], self.request, SECRET)

    def test_a_response_of_another_secret_or_request_is_forged(self):
        other = packet.encode_request(7, bytes(16), [(packet.USER_NAME, b"nemo")], SECRET)
        for response in (
            respond(self.request, packet.ACCESS_ACCEPT, [], secret=b"guessed"),
            respond(other, packet.ACCESS_ACCEPT, []),
            respond(self.request, packet.ACCESS_REQUEST, []),
        ):
            with self.assertRaises(packet.ForgedResponse):
                packet.decode_response(response, self.request, SECRET)

    def test_a_response_without_signature_is_forged_unless_that_is_allowed(self):
        response = respond(self.request, packet.ACCESS_ACCEPT, [], sign=False)
        with self.assertRaises(packet.ForgedResponse):
            packet.decode_response(response, self.request, SECRET)
        read = packet.decode_response(response, self.request, SECRET, require_signature=False)
        self.assertEqual(read.code, packet.ACCESS_ACCEPT)

    def test_attributes_that_lie_about_their_length_are_refused(self):
        for body in (b"\x12", b"\x12\x00", b"\x12\x01", b"\x12\x05ab"):
            head = struct.pack(">BBH", packet.ACCESS_ACCEPT, 7, 20 + len(body))
            digest = hashlib.md5(head + self.request[4:20] + body + SECRET).digest()
            with self.assertRaises(packet.ForgedResponse):
                packet.decode_response(head + digest + body, self.request, SECRET, require_signature=False)


if __name__ == "__main__":
    unittest.main()
