"""What is asked of the server, and what becomes of its answers. The session of `requests` is a stand-in here: the
gateway's own tests have a server that checks certificates."""

import unittest

import requests

from kv import Kv1, Kv2, Taken, Vault, VaultError, join_path, log_in


class Response:
    def __init__(self, status, content):
        self.status_code = status
        self._content = content

    def iter_content(self, _):
        return iter([self._content])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Session:
    """Answers with `answers`, one for each request; keeps the requests."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    def request(self, method, url, json, headers, timeout, allow_redirects, stream):
        assert not allow_redirects and timeout
        self.asked.append((method, url.partition("/v1/")[2], json, headers.get("X-Vault-Token")))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Response(*answer)


def vault(*answers):
    session = Session(*answers)
    return session, Vault(session, "https://vault.test", 1, None)


LOGIN = (200, b'{"auth": {"client_token": "t0ken"}}')


class Logins(unittest.TestCase):
    def test_a_token_is_used_and_given_back_also_after_an_error(self):
        session = Session(LOGIN, (403, b'{"errors": ["permission denied"]}'), (204, b""))
        with self.assertRaisesRegex(VaultError, "GET secret/a: status 403 permission denied"):
            with log_in(session, "https://vault.test/", 1, "gateway") as opened:
                Kv1(opened, "secret").read("a")
        self.assertEqual(session.asked, [
            ("POST", "auth/cert/login", {"name": "gateway"}, None),
            ("GET", "secret/a", None, "t0ken"),
            ("POST", "auth/token/revoke-self", None, "t0ken"),
        ])

    def test_only_https_is_spoken(self):
        session = Session()
        with self.assertRaises(VaultError):
            with log_in(session, "http://vault.test", 1):
                pass
        self.assertEqual(session.asked, [])


class Answers(unittest.TestCase):
    def test_what_is_no_answer_is_an_error_without_its_text(self):
        for answer in (
            (200, b"s3cret"),
            (200, b'["s3cret"]'),
            (307, b""),
            (200, b" " * (1024 * 1024 + 1)),
            requests.ConnectionError("s3cret"),
        ):
            with self.assertRaises(VaultError) as caught:
                vault(answer)[1].call("GET", "a")
            self.assertNotIn("s3cret", str(caught.exception))
            self.assertIsNone(caught.exception.__cause__)


class Engines(unittest.TestCase):
    def test_version_1_has_the_secret_as_data(self):
        session, opened = vault((200, b'{"data": {"password": "p"}}'), (404, b'{"errors": []}'), (204, b""))
        self.assertEqual(Kv1(opened, "kv").read("a/b"), {"password": "p"})
        Kv1(opened, "kv").create("a/b", {"x": "y"})
        self.assertEqual(session.asked[-1][:3], ("POST", "kv/a/b", {"x": "y"}))

    def test_version_1_does_not_overwrite(self):
        with self.assertRaises(Taken):
            Kv1(vault((200, b'{"data": {}}'))[1], "kv").create("a", {})

    def test_version_2_has_it_one_level_below_and_says_when_it_is_deleted(self):
        session, opened = vault((200, b'{"data": {"data": {"password": "p"}, "metadata": {}}}'))
        self.assertEqual(Kv2(opened, "secret").read("a"), {"password": "p"})
        self.assertEqual(session.asked[0][1], "secret/data/a")
        deleted = (404, b'{"data": {"data": null, "metadata": {"deletion_time": "2026"}}}')
        self.assertIsNone(Kv2(vault(deleted)[1], "secret").read("a"))

    def test_version_2_creates_with_check_and_set(self):
        refused = (400, b'{"errors": ["check-and-set parameter did not match the current version"]}')
        session, opened = vault((200, b'{"data": {"version": 1}}'), refused, (204, b""))
        store = Kv2(opened, "secret")
        store.create("a", {"x": "y"})
        with self.assertRaises(Taken):
            store.create("a", {"x": "y"})
        store.delete("a")
        self.assertEqual([request[:3] for request in session.asked], [
            ("POST", "secret/data/a", {"options": {"cas": 0}, "data": {"x": "y"}}),
            ("POST", "secret/data/a", {"options": {"cas": 0}, "data": {"x": "y"}}),
            ("DELETE", "secret/metadata/a", None),
        ])


class Paths(unittest.TestCase):
    def test_each_name_is_one_segment(self):
        self.assertEqual(join_path("hosts", "db 1", "a%2fb?c#d"), "hosts/db%201/a%252fb%3Fc%23d")

    def test_a_name_that_leads_elsewhere_is_refused(self):
        for name in ("", ".", "..", "../root", "a/b", "a\\b", "a\nb", "a\0b", "\ud800"):
            with self.assertRaises(ValueError):
                join_path("hosts", name)


if __name__ == "__main__":
    unittest.main()
