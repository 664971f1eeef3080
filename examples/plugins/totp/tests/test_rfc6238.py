"""The test values of RFC 6238, appendix B, and how codes are found and secrets read."""

import unittest

from rfc6238 import Totp, read_secret

SEED = b"12345678901234567890123456789012345678901234567890123456789012345678901234567890"
TIMES = (59, 1111111109, 1111111111, 1234567890, 2000000000, 20000000000)
CODES = {
    ("sha1", 20): ("94287082", "07081804", "14050471", "89005924", "69279037", "65353130"),
    ("sha256", 32): ("46119246", "68084774", "67062674", "91819424", "90698825", "77737706"),
    ("sha512", 64): ("90693936", "25091201", "99943326", "93441116", "38618901", "47863826"),
}


class Codes(unittest.TestCase):
    def test_the_codes_are_those_of_the_rfc(self):
        for (algorithm, length), codes in CODES.items():
            totp = Totp(SEED[:length], algorithm, 8)
            self.assertEqual(tuple(totp.code(totp.step_at(time)) for time in TIMES), codes)

    def test_a_code_is_found_within_the_drift_and_not_beyond(self):
        totp = Totp(SEED[:20])
        code = totp.code(100)
        found = [totp.find(code, step * 30, 1) for step in (98, 99, 100, 101, 102)]
        self.assertEqual(found, [None, 100, 100, 100, None])
        self.assertIsNone(totp.find(code, 101 * 30, 0))

    def test_what_is_no_code_is_not_found(self):
        totp = Totp(SEED[:20])
        for text in ("", "1", totp.code(1)[:5], totp.code(1) + "0", "\u0661\u0662\u0663\u0664\u0665\u0666", "\ud800"):
            self.assertIsNone(totp.find(text, 30, 0))


class Secrets(unittest.TestCase):
    def test_a_secret_is_read_as_apps_show_it(self):
        for text in ("JBSWY3DPEHPK3PXP", "jbsw y3dp ehpk 3pxp", "JBSW-Y3DP-EHPK-3PXP"):
            self.assertEqual(read_secret(text), b"Hello!\xde\xad\xbe\xef")
        self.assertEqual(read_secret("GEZDGNA="), b"1234")

    def test_an_error_does_not_repeat_the_secret(self):
        for text in ("", "JBSWY3DP1", "A", "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"):
            with self.assertRaises(ValueError) as caught:
                read_secret(text)
            self.assertTrue(str(caught.exception).startswith("not base 32"))


if __name__ == "__main__":
    unittest.main()
