"""Two system calls that the standard library has no function for. Where ctypes is missing, workers go without."""

try:
    import ctypes

    _libc = ctypes.CDLL(None, use_errno=True)
    madvise = _libc.madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    _prctl = _libc.prctl
    _prctl.argtypes = (ctypes.c_int,) + (ctypes.c_ulong,) * 4
except Exception:
    madvise = None
    _prctl = None

POPULATE_READ = 22
POPULATE_WRITE = 23

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """What a call leaves without a parent stays below its worker, so that it is known whose it is."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
