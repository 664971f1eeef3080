"""What a ticket has to say, and what becomes of a server's answers."""

import unittest

import requests

from tickets import NUMBER, TicketError, TicketServer, objection

GOOD = {
    "state": "approved",
    "assignee": "alice",
    "targets": ["root@db*.example.com", "postgres@10.0.0.7"],
    "begins": 100,
    "ends": 200,
}


class Objections(unittest.TestCase):
    def why(self, user="alice", account="root", hosts=("DB1.example.com", "10.0.0.7"), now=150, **changes):
        ticket = {key: value for key, value in dict(GOOD, **changes).items() if value != "absent"}
        return objection(ticket, user, account, hosts, now)

    def test_a_good_ticket_has_none(self):
        self.assertIsNone(self.why())
        self.assertIsNone(self.why(account="postgres"))
        self.assertIsNone(self.why(begins="absent", ends="absent"))

    def test_it_has_to_be_approved(self):
        for state in ("open", "closed", None, "absent", ["approved"]):
            self.assertEqual(self.why(state=state), "it is not approved")

    def test_it_has_to_be_the_users_own(self):
        self.assertEqual(self.why(user="bob"), "it is not assigned to you")
        self.assertEqual(self.why(user="Alice"), "it is not assigned to you")
        self.assertEqual(self.why(assignee="absent"), "it is not assigned to you")
        self.assertEqual(self.why(user=None, assignee="absent"), "it is not assigned to you")

    def test_it_has_to_be_its_time(self):
        self.assertEqual([self.why(now=now) for now in (100, 200)], [None, None])
        for now, changes in ((99, {}), (201, {}), (150, {"begins": "now"}), (150, {"ends": None})):
            self.assertEqual(self.why(now=now, **changes), "this is not its time")

    def test_it_has_to_be_for_that_account_on_that_host(self):
        for changes in (
            {"account": "admin"},
            {"account": "Root"},
            {"hosts": ("web1.example.com", "10.0.0.8")},
            {"hosts": ()},
            {"targets": "root@*"},
            {"targets": [7]},
            {"targets": "absent"},
        ):
            self.assertEqual(self.why(**changes), "it is not for this login", changes)


class Numbers(unittest.TestCase):
    def test_nothing_else_gets_into_a_path(self):
        self.assertTrue(NUMBER.match("CHG-17"))
        for text in ("", "17", "CHG17", "../CHG-17", "CHG-17/notes", "CHG-17\n", "CHG-\u0661"):
            self.assertIsNone(NUMBER.match(text))


class Session:
    """Stands in for one of `requests`, with one answer."""

    def __init__(self, answer):
        self._answer = answer

    def request(self, method, url, json, headers, timeout, allow_redirects, stream):
        assert headers["Authorization"] == "Bearer t0ken" and not allow_redirects
        if isinstance(self._answer, Exception):
            raise self._answer
        self.status_code, self._content = self._answer
        return self

    def iter_content(self, _):
        return iter([self._content])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Servers(unittest.TestCase):
    def ticket(self, answer):
        return TicketServer(Session(answer), "https://tickets.test/", "t0ken", 1).ticket("CHG-17")

    def test_a_ticket_is_read_and_a_missing_one_is_none(self):
        self.assertEqual(self.ticket((200, b'{"state": "open"}')), {"state": "open"})
        self.assertIsNone(self.ticket((404, b"")))

    def test_every_other_answer_is_an_error_without_the_token(self):
        for answer in (
            (200, b"[]"),
            (200, b"<html>"),
            (302, b"{}"),
            (500, b"{}"),
            (200, b" " * (256 * 1024 + 1)),
            requests.ConnectionError("Bearer t0ken"),
        ):
            with self.assertRaises(TicketError) as caught:
                self.ticket(answer)
            self.assertNotIn("t0ken", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
