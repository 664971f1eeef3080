"""Which pages a call touches, learnt from the first calls, so that later workers have them before their call comes.

A forked worker shares its memory with the template; each page that it writes is copied then, and each page of code
that it runs is mapped then, one fault at a time. That is most of what a call costs. The first workers note at their
end which pages were theirs; the later ones populate these while they are idle, in a few system calls. It is a matter
of speed alone: where anything about it is missing (ctypes, the kernel's madvise), workers go without.
"""

import mmap
from array import array

from .kernel import POPULATE_READ, POPULATE_WRITE, madvise

# How many calls are learnt from.
_LESSONS = 3
_MAX_RANGES = 2000
# An idle worker owns no more pages than these.
_MAX_PAGES = 4096

_PRESENT = 1 << 63
_EXCLUSIVE = 1 << 56
_PAGE = mmap.PAGESIZE
# The notes are numbers of eight bytes: of lessons, of ranges, then start, length and advice of each range.
_HEAD = 2
_MOST = _HEAD + 3 * _MAX_RANGES


class Pages(object):
    """Made in the template; the notes are in memory that it shares with all workers.

    Each lesson holds what was populated for it, so the last one holds them all. Workers that write at once may mix
    their notes up, which costs time and nothing else: no advice changes what a page holds.
    """

    def __init__(self):
        self._notes = None
        if madvise is not None:
            self._notes = memoryview(mmap.mmap(-1, 8 * _MOST)).cast("Q")

    def populate(self):
        """In a new worker."""
        notes = self._notes
        if notes is None:
            return
        end = min(_HEAD + 3 * notes[1], _MOST)
        for _ in map(madvise, notes[_HEAD:end:3], notes[_HEAD + 1 : end : 3], notes[_HEAD + 2 : end : 3]):
            pass

    def learn(self):
        """In a worker, at the end of its call."""
        if self._notes is None or self._notes[0] >= _LESSONS:
            return
        try:
            ranges = _touched()
        except (OSError, ValueError):
            return
        self._notes[_HEAD : _HEAD + len(ranges)] = memoryview(ranges)
        self._notes[1] = len(ranges) // 3
        self._notes[0] += 1


def _touched():
    ranges = array("Q")
    owned = 0
    with open("/proc/self/maps") as maps, open("/proc/self/pagemap", "rb") as pagemap:
        for line in maps:
            fields = line.split()
            if fields[1][3] != "p" or fields[-1] in ("[vvar]", "[vdso]", "[vsyscall]", "[stack]"):
                continue
            begin, end = (int(address, 16) for address in fields[0].split("-"))
            pagemap.seek(begin // _PAGE * 8)
            entries = array("Q", pagemap.read((end - begin) // _PAGE * 8))
            written = fields[1][1] == "w"
            mask = _PRESENT | _EXCLUSIVE if written else _PRESENT
            advice = POPULATE_WRITE if written else POPULATE_READ
            for first, last in _runs(entries, mask):
                owned += last - first + 1 if written else 0
                if owned > _MAX_PAGES or len(ranges) >= _MAX_RANGES * 3:
                    return ranges
                ranges.extend((begin + first * _PAGE, (last - first + 1) * _PAGE, advice))
    return ranges


def _runs(entries, mask):
    first = last = None
    for place, entry in enumerate(entries):
        if entry & mask != mask:
            continue
        if last is not None and place == last + 1:
            last = place
            continue
        if last is not None:
            yield first, last
        first = last = place
    if last is not None:
        yield first, last
