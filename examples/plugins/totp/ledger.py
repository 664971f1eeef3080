"""What must outlast a call: which codes have been used, and how often somebody was wrong.

A file for each user in the plugin's state directory. Calls of several sessions may judge the same user at the same
time, so each judgement is made under a lock.
"""

import hashlib
import json
import os

RIGHT = "right"
WRONG = "wrong"
USED = "used"
LOCKED = "locked"


class Ledger:
    """After `max_failures` wrong codes in a row, no code of a user counts for `pause` seconds (RFC 4226 section 7.3).

    `lock(path)` gives a context in which nobody else has the lock of that path.
    """

    def __init__(self, directory, lock, max_failures, pause):
        self._directory = directory
        self._lock = lock
        self._max_failures = max_failures
        self._pause = pause

    def judge(self, user, seconds, find):
        """RIGHT, WRONG, USED or LOCKED. `find` gives the step of the code that is to be judged, or `None`."""
        path = self._path(user)
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        with self._lock(path):
            entry = _read(path)
            verdict = self._judged(entry, seconds, find)
            _write(path, entry)
        return verdict

    def _judged(self, entry, seconds, find):
        if seconds < entry["locked_until"]:
            return LOCKED
        step = find()
        # A step that is not later than the last one has been used, or seen by whoever saw that (RFC 6238 section 5.2).
        if step is not None and step > entry["last_step"]:
            entry.update(last_step=step, failures=0)
            return RIGHT
        entry["failures"] += 1
        if entry["failures"] >= self._max_failures:
            entry.update(failures=0, locked_until=seconds + self._pause)
        return WRONG if step is None else USED

    def _path(self, user):
        """The user's name comes from the network: hashed, it is no path that leads elsewhere."""
        name = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
        return os.path.join(self._directory, name + ".json")


def _read(path):
    try:
        with open(path, encoding="ascii") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"last_step": -1, "failures": 0, "locked_until": 0}


def _write(path, entry):
    """All or nothing: a call that is killed leaves the old file."""
    fresh = path + ".new"
    with open(fresh, "w", encoding="ascii") as file:
        json.dump(entry, file)
    os.replace(fresh, path)
