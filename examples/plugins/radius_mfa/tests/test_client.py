"""The exchange, with a server in the same process that does wrong what servers and attackers do wrong."""

import logging
import socket
import threading
import unittest

from radius import packet
from radius.client import NoAnswer, RadiusClient, Server, parse_server
from tests.test_packet import SECRET, respond


class Peer:
    """A UDP server on the loopback. `answers(request, count)` gives the datagrams for the request of this number."""

    def __init__(self, answers):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._answers = answers
        self.requests = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def server(self):
        return Server(*self._socket.getsockname())

    def _serve(self):
        while True:
            request, address = self._socket.recvfrom(4096)
            if request == b"stop":
                return
            self.requests.append(request)
            for datagram in self._answers(request, len(self.requests)):
                self._socket.sendto(datagram, address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.sendto(b"stop", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


def accept(request):
    return respond(request, packet.ACCESS_ACCEPT, [])


def ask(*servers, tries=2, timeout=0.2):
    logger = logging.getLogger("radius")
    logger.disabled = True
    client = RadiusClient(list(servers), SECRET, timeout, tries, True, logger)
    return client.ask(lambda identifier, authenticator: [(packet.USER_NAME, b"nemo")]).code


class Exchange(unittest.TestCase):
    def test_an_answer_is_given(self):
        with Peer(lambda request, _: [accept(request)]) as peer:
            self.assertEqual(ask(peer.server(), timeout=5), packet.ACCESS_ACCEPT)
            self.assertEqual(len(peer.requests), 1)

    def test_a_forged_answer_does_not_stand_in_for_the_genuine_one(self):
        def answers(request, _):
            return [respond(request, packet.ACCESS_REJECT, [], secret=b"guessed"), b"noise", accept(request)]

        with Peer(answers) as peer:
            self.assertEqual(ask(peer.server(), timeout=5), packet.ACCESS_ACCEPT)

    def test_a_lost_request_is_repeated_as_it_was(self):
        with Peer(lambda request, count: [accept(request)] if count == 2 else []) as peer:
            # The answer to the second one may come when more have been sent.
            self.assertEqual(ask(peer.server(), tries=100), packet.ACCESS_ACCEPT)
            self.assertEqual(peer.requests[0], peer.requests[1])

    def test_the_next_server_is_asked_when_one_is_silent_or_gone(self):
        gone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        gone.bind(("127.0.0.1", 0))
        nobody = Server(*gone.getsockname())
        gone.close()
        with Peer(lambda request, _: []) as silent, Peer(lambda request, _: [accept(request)]) as peer:
            self.assertEqual(ask(nobody, silent.server(), peer.server(), timeout=2), packet.ACCESS_ACCEPT)
        # Both have read all by now.
        self.assertEqual(len(silent.requests), 2)
        self.assertNotEqual(silent.requests[0][4:20], peer.requests[0][4:20])

    def test_only_forged_answers_are_no_answer(self):
        with Peer(lambda request, _: [respond(request, packet.ACCESS_ACCEPT, [], secret=b"guessed")]) as peer:
            with self.assertRaises(NoAnswer):
                ask(peer.server())


class Servers(unittest.TestCase):
    def test_a_server_is_written_with_and_without_port(self):
        for text, server in [
            ("radius.example.com", ("radius.example.com", 1812)),
            (" radius.example.com:1645 ", ("radius.example.com", 1645)),
            ("2001:db8::7", ("2001:db8::7", 1812)),
            ("[2001:db8::7]", ("2001:db8::7", 1812)),
            ("[2001:db8::7]:1645", ("2001:db8::7", 1645)),
        ]:
            self.assertEqual(parse_server(text), server)

    def test_what_is_no_server_is_refused(self):
        for text in ("", ":1812", "host:", "host:radius", "host:0", "host:65536", "a b", "[::1", "[::1]x", "[::1]1812"):
            with self.assertRaises(ValueError):
                parse_server(text)


if __name__ == "__main__":
    unittest.main()
