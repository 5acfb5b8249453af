"""The C library's memory allocator, told to keep what it will be asked for again in a moment."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the parameters of mallopt(3) in glibc's malloc.h."""

LARGEST_KEPT = 32 << 20
"""Bytes; larger arrays (whole images) still come from the kernel and go back to it. The most glibc takes."""

KEPT = 256 << 20
"""Bytes of freed memory that a process keeps."""


def reuse_freed_memory() -> bool:
    """Keep freed arrays of up to LARGEST_KEPT for the next of their size; for the rest of the process.

    A network's arrays live for a millisecond each. glibc fetches every one anew from the kernel, which clears
    its pages first: on a CPU that takes about as long as the arithmetic (docs/performance.md).

    Returns False where there is no glibc, and then changes nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, KEPT))
