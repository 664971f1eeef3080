"""The file of credentials: what is found in it, and which files are refused."""

import os
import tempfile
import unittest

from credentials import Credentials, CredentialsError

FILE = """
[root@db*.example.com]
password = 100% $ecret
password_before = former = secret

[root@10.0.0.7]
private_key = -----BEGIN RSA PRIVATE KEY-----
 AAAA
 -----END RSA PRIVATE KEY-----
private_key_old = -----BEGIN DSA PRIVATE KEY-----
 BBBB
 -----END DSA PRIVATE KEY-----

[*@db1.example.com]
password = anybody
"""


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "credentials.ini")

    def read(self, content, mode=0o600):
        with open(self.path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.chmod(self.path, mode)
        return Credentials.read(self.path)

    def refused(self, content, mode=0o600):
        with self.assertRaises(CredentialsError) as caught:
            self.read(content, mode)
        return str(caught.exception)

    def test_passwords_come_in_their_order_from_the_first_section_that_matches(self):
        credentials = self.read(FILE)
        self.assertEqual(credentials.passwords("root", "DB1.example.com"), ["100% $ecret", "former = secret"])
        self.assertEqual(credentials.passwords("Root", "db1.example.com"), ["anybody"])
        self.assertEqual(credentials.passwords("root", "10.0.0.7"), [])
        self.assertEqual(credentials.passwords("root", "10.0.0.8"), [])

    def test_keys_have_their_type_and_their_lines(self):
        keys = self.read(FILE).private_keys("root", "10.0.0.7")
        self.assertEqual([kind for kind, _ in keys], ["ssh-rsa", "ssh-dss"])
        self.assertEqual(keys[0][1].splitlines()[1:], ["AAAA", "-----END RSA PRIVATE KEY-----"])

    def test_a_file_that_others_can_open_is_refused(self):
        for mode in (0o604, 0o602, 0o620, 0o777):
            self.assertIn("chmod 600", self.refused(FILE, mode))
        self.read(FILE, 0o640)

    def test_a_missing_or_large_or_binary_file_is_refused(self):
        with self.assertRaisesRegex(CredentialsError, "No such file"):
            Credentials.read(self.path)
        self.assertIn("larger", self.refused(b"#" * (1024 * 1024 + 1)))
        self.assertIn("UTF-8", self.refused(b"\xff"))

    def test_a_broken_file_is_refused_without_showing_a_password(self):
        for content in ("[a@b]\nsecret\n", "password = secret\n", "[a@b]\npassword = secret\npassword = secret\n"):
            message = self.refused(content)
            self.assertNotIn("secret", message)
            self.assertRegex(message, "line [1-3]: ")


if __name__ == "__main__":
    unittest.main()
