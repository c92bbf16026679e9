"""Keep a worker's memory small and even: few heaps, large blocks on their own, nothing left of reading files.

The C library gives each thread that allocates a heap of its own, and keeps what is freed there: under load
batches and pages come from ever other threads, so the heaps of all of them filled up for minutes, as a slow
leak would. It also learns to keep blocks as large as the largest body that was freed, up to 32 MiB.
"""

from __future__ import annotations

import ctypes
import gc
import platform
from typing import Final

import pyarrow as pa

# The numbers of <malloc.h>.
TRIM_THRESHOLD: Final = -1
MMAP_THRESHOLD: Final = -3
ARENA_MAX: Final = -8

SETTINGS: Final = {ARENA_MAX: 1, MMAP_THRESHOLD: 4 << 20, TRIM_THRESHOLD: 8 << 20}
"""One heap: Python's lock lets few threads allocate at once. Blocks of 4 MiB are given back when freed."""


def use_little_memory() -> None:
    """Set up the allocators of this process; before it starts threads, as their heaps stay."""
    # Arrow's own allocator keeps what reading the files took, a third of the worker.
    pa.set_memory_pool(pa.system_memory_pool())
    library = _c_library()
    if library is not None:
        for name, value in SETTINGS.items():
            library.mallopt(name, value)


def keep_what_is_loaded() -> None:
    """Give back what reading left, and let garbage collections pass over what is loaded.

    To walk it takes them 0.1 s and more. What was loaded before and is used no more is collected.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


def _c_library() -> ctypes.CDLL | None:
    """Return glibc; None: this is another C library, whose allocator has no such settings."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
