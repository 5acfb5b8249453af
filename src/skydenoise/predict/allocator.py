"""The C library's memory allocator, told to keep what it will be asked for again in a moment."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Numbers of the parameters of mallopt(3) in glibc's malloc.h."""

KEPT = 2**31 - 1
"""Bytes of freed memory at the heap's end that a process keeps: as many as mallopt takes."""


def reuse_freed_memory() -> bool:
    """Keep freed arrays, those of whole images, too, for the next ones; for the rest of the process.

    Those of the main thread: in others glibc still fetches arrays of more than 64 MB.

    A network's arrays live for a millisecond each, a brick's for seconds. glibc fetches every large one anew
    from the kernel, which clears its pages first: for a network on a CPU that takes about as long as the
    arithmetic. And a virtual machine may have given back to its host what was free for a second
    (docs/performance.md).

    Returns False where there is no glibc, and then changes nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, KEPT))
