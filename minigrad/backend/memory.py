"""What the C library's allocator does with the arrays of a freed graph: gives them back, or keeps them for the next.

A page that was given back is faulted in again when it is next used, which can cost 17 times the arithmetic. glibc keeps
more once it has seen a large block freed, so importing minigrad allocates and frees one block just under 32 MiB: that
changes no limit which glibc would not change by itself, and helps while a step frees under 64 MiB. `keep` helps beyond
that; `release` gives everything back. `MINIGRAD_MEMORY=system` leaves the block out, and so does a running tracemalloc.

On other C libraries nothing here does anything. There is no pool: rules on plain arrays could not use one.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import numpy as np

from minigrad.errors import ArgumentError

__all__ = ["keep", "release", "state"]

_MIB = 1 << 20
_WARM = 32 * _MIB - 8192  # glibc learns from blocks of up to 32 MiB, its own header and page rounding included
_LARGEST = (1 << 31) - 1  # mallopt takes a C int
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": _MIB, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9}

_warmed = False
_kept = 0


def keep(limit: str | int = "1GiB") -> bool:
    """Let freed arrays stay with the process, up to `limit` (bytes, or "512MiB"), so that the next step finds them.

    Sets both thresholds of glibc's mallopt (one alone is worse than none). True where that took effect; False on
    another C library and under `MINIGRAD_MEMORY=system`. ArgumentError for a limit that is no size or over 2 GiB - 1.

    >>> keep("64MiB") in (True, False)
    True
    """
    global _kept
    size = _bytes(limit)
    libc = _glibc()
    if libc is None or _left_to_system():
        return False
    # Up to 2.34 glibc refuses an mmap threshold over 32 MiB; larger blocks then go back at once.
    done = any(libc.mallopt(_M_MMAP_THRESHOLD, at) for at in (size, min(size, 32 * _MIB)))
    done = bool(libc.mallopt(_M_TRIM_THRESHOLD, size)) and done
    if done:
        _kept = size
    return done


def release() -> bool:
    """Give all free memory back to the system, and undo `keep`; True if the C library could.

    >>> release() in (True, False)
    True
    """
    global _kept
    libc = _glibc()
    if libc is None:
        return False
    if _kept:
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)  # where glibc's own adaptation ends
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * _MIB)
        _kept = 0
    libc.malloc_trim(0)
    return True


def state() -> str:
    """One phrase for the head of a benchmark's table: what malloc does with freed memory.

    >>> print(state())  # doctest: +SKIP
    glibc 2.36, warmed up (keeps up to 64 MiB)
    """
    version = _libc_version()
    if not version:
        return "not glibc, left as it is"
    if _kept:
        return f"{version}, keeps up to {_kept / _MIB:g} MiB (mallopt)"
    if _warmed:
        return f"{version}, warmed up (keeps up to 64 MiB)"
    return f"{version}, left as it is"


def _bytes(limit: str | int) -> int:
    """The size in bytes of an int or of a text with a unit."""
    size = -1
    if isinstance(limit, int):
        size = limit
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", limit)
        if match and match[2].lower() in _UNITS:
            size = int(float(match[1]) * _UNITS[match[2].lower()])
    if not 0 < size <= _LARGEST:
        raise ArgumentError(f'keep: limit={limit!r} must be a size from 1 byte to 2 GiB - 1, as "512MiB" or in bytes')
    return size


def _libc_version() -> str:
    """Such as "glibc 2.36", or "" on any other C library."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):  # no confstr, or not this name: Windows, macOS, musl
        return ""


def _glibc() -> Any:
    """The loaded C library if it is glibc; ctypes is imported here and not before."""
    if not _libc_version():
        return None
    import ctypes

    return ctypes.CDLL(None)


def _left_to_system() -> bool:
    choice = os.environ.get("MINIGRAD_MEMORY", "")
    if choice not in ("", "system"):
        raise ArgumentError(f'MINIGRAD_MEMORY={choice!r}: the only value is "system", which leaves malloc as it is')
    return choice == "system"


def _traced() -> bool:
    """Whether tracemalloc watches this process; asked without importing it."""
    module = sys.modules.get("tracemalloc")
    asked = os.environ.get("PYTHONTRACEMALLOC", "0") not in ("", "0") or "tracemalloc" in sys._xoptions
    return asked or (module is not None and bool(module.is_tracing()))


def _warm_up() -> None:
    global _warmed
    if _left_to_system() or _traced() or not _libc_version():
        return
    np.empty(_WARM, np.uint8)
    _warmed = True


_warm_up()
