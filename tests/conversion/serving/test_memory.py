from __future__ import annotations

import gc
import platform
import subprocess
import sys
import weakref

import pytest

from conversion.serving.memory import keep_what_is_loaded

HEAPS = """
import ctypes, re, sys, threading

import pyarrow as pa

from conversion.serving.memory import use_little_memory

if sys.argv[1] == "set up":
    use_little_memory()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.open_memstream.restype = ctypes.c_void_p
together = threading.Barrier(8)

def allocate():
    together.wait()
    for _ in range(100):
        library.malloc(1000)
    together.wait()

def heaps():
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    stream = ctypes.c_void_p(library.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    library.malloc_info(0, stream)
    library.fclose(stream)
    return len(re.findall(b"<heap nr=", text.value))

before = heaps()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(heaps() - before, pa.default_memory_pool().backend_name)
"""


def new_heaps(how: str) -> tuple[int, str]:
    """Count the heaps that eight threads add in a process of their own; name Arrow's allocator."""
    command = [sys.executable, "-c", HEAPS, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    count, allocator = done.stdout.split()
    return int(count), allocator


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such heaps")
def test_threads_add_no_heaps() -> None:
    assert new_heaps("as it is")[0] > 0
    assert new_heaps("set up") == (0, "system")


class Node:
    """Can be part of a cycle."""

    other: Node


def test_what_is_replaced_is_collected_though_it_was_frozen() -> None:
    first, second = Node(), Node()
    first.other, second.other = second, first
    left = weakref.ref(first)
    try:
        keep_what_is_loaded()
        assert gc.get_freeze_count() > 0
        del first, second
        gc.collect()
        assert left() is not None, "frozen, so a collection passes over it"
        keep_what_is_loaded()
        assert left() is None
    finally:
        gc.unfreeze()
