"""Makes the memory of a template such that its workers write to few of its pages.

A page that a worker writes to becomes its own: that is time in the call, and memory while it is idle. Every new object
goes into a hole that an older one has left, wherever in memory that is, and its page is then copied for it. So the
holes are filled in the template, where all workers share what fills them, and new objects come to lie side by side.
"""

import gc
import sys

from . import kernel

# Bytes that fill holes, at most, of each of the two allocators.
_ROOM = 1 << 20
# What goes past this has pages of its own in any case.
_HEAP_SIZES = (64000, 32000, 16000, 8000, 4000, 2000) + tuple(range(1240, 0, -16))
_LARGEST_POOLED = 512
_BYTES_HEAD = sys.getsizeof(b"")
# Python's own allocator cuts its memory into pools of one size of object each; a pool begins with a head.
_POOL = 16 * 1024 if sys.version_info >= (3, 10) else 4 * 1024
_POOL_HEAD = 48

_kept = []


def settle():
    """Nothing is freed and made in the template from now on but what serves its orders."""
    gc.collect()
    gc.disable()
    _forget_lookups()
    _fill_heap()
    _fill_pools()
    # A collection in a worker need not look at what is here, for it would write to all of it. Python has it from 3.7 on.
    freeze = getattr(gc, "freeze", None)
    if freeze is not None:
        freeze()


def _forget_lookups():
    """Python remembers attributes by their names, and writes to each name that makes room for another one.

    Before 3.11 what is forgotten are the types' versions as well, which workers would write anew; after it, nothing
    counts who holds a name.
    """
    if sys.version_info[:2] == (3, 11):
        sys._clear_type_cache()


def _fill_heap():
    if kernel.malloc is None:
        return
    kernel.malloc_trim(0)
    room = _ROOM
    for size in _HEAP_SIZES:
        in_a_row = last = 0
        while in_a_row < 2 and room > 0:
            place = kernel.malloc(size)
            in_a_row = in_a_row + 1 if last < place <= last + size + 32 else 0
            last = place
            room -= size


def _fill_pools():
    room = _ROOM
    for size in range(16, _LARGEST_POOLED + 1, 16):
        in_a_row = first = last = 0
        while not (in_a_row == 3 and first % _POOL <= _POOL_HEAD + 3 * size) and room > 0:
            _kept.append(_object_of(size))
            place = id(_kept[-1])
            # The numbers of places are objects of 32 bytes themselves.
            if last < place <= last + 4 * size:
                in_a_row += 1
            else:
                in_a_row, first = 0, place
            last = place
            room -= size


def _object_of(size):
    if size == 16:
        return object()
    if size == 32:
        return float(len(_kept))
    return bytes(size - _BYTES_HEAD)
