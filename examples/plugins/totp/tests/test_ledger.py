"""Which codes count: each one once, and none for a while after too many wrong ones."""

import contextlib
import os
import tempfile
import unittest

from ledger import LOCKED, RIGHT, USED, WRONG, Ledger


class Judgements(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.locked = None
        self.ledger = Ledger(os.path.join(self.folder.name, "users"), self.lock, max_failures=3, pause=60)

    @contextlib.contextmanager
    def lock(self, path):
        self.locked = path
        yield
        self.locked = None

    def judge(self, step, user="alice", seconds=1000):
        def find():
            self.assertIsNotNone(self.locked)
            return step

        return self.ledger.judge(user, seconds, find)

    def test_a_code_counts_once_and_no_earlier_one_after_it(self):
        self.assertEqual([self.judge(step) for step in (7, 7, 6, 8)], [RIGHT, USED, USED, RIGHT])

    def test_users_do_not_share_their_codes(self):
        self.assertEqual([self.judge(7), self.judge(7, "bob")], [RIGHT, RIGHT])

    def test_after_too_many_wrong_codes_a_right_one_has_to_wait(self):
        self.assertEqual([self.judge(None) for _ in range(3)], [WRONG] * 3)
        self.assertEqual([self.judge(7), self.judge(7, seconds=1059)], [LOCKED, LOCKED])
        self.assertEqual([self.judge(7, "bob"), self.judge(7, seconds=1060)], [RIGHT, RIGHT])

    def test_a_right_code_forgives_the_wrong_ones(self):
        self.assertEqual([self.judge(step) for step in (None, None, 7, None, None, 8)][-1], RIGHT)

    def test_a_name_leads_nowhere_else(self):
        for user in ("../../evil", "/etc/evil", "a\0b", "\ud800", "x" * 5000):
            self.assertEqual(self.judge(7, user), RIGHT)
        self.assertEqual(os.listdir(self.folder.name), ["users"])


if __name__ == "__main__":
    unittest.main()
