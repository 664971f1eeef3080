"""What of the C library the standard library has no function for. Where ctypes is missing, workers go without."""

try:
    import ctypes

    # None of them waits, so that letting other threads run meanwhile would only take time; nor is `errno` looked at.
    _libc = ctypes.PyDLL(None)
    madvise = _libc.madvise
    # Whole registers, and of all types the one that takes a number with the fewest questions.
    madvise.argtypes = (ctypes.c_void_p,) * 3
    _prctl = _libc.prctl
    _prctl.argtypes = (ctypes.c_void_p,) * 5
except Exception:
    madvise = None
    _prctl = None

try:
    malloc, malloc_trim = _libc.malloc, _libc.malloc_trim
    malloc.argtypes = (ctypes.c_size_t,)
    malloc.restype = ctypes.c_size_t
    malloc_trim.argtypes = (ctypes.c_size_t,)
except Exception:
    # Another C library than GNU's, whose heap is of another kind.
    malloc = malloc_trim = None

POPULATE_READ = 22
POPULATE_WRITE = 23

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """What a call leaves without a parent stays below its worker, so that it is known whose it is."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
