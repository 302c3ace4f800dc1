"""Writing a file so that nobody ever sees half of it: a temporary name beside it, fsync, rename, fsync of the folder.

A process that is killed at any moment leaves the old file or the new one, and at most one stray file of a fixed name
(`NAME.part`), which the next save takes over. An error leaves the old file and nothing else. Two processes must not
write one file at the same time; threads of one process take turns.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["write"]

_one_at_a_time = threading.Lock()


def write(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Let the file `path` hold `pieces`, one after the other; a link is followed, so that what it names is replaced.

    Raises OSError as the system gives it; the file is then what it was before.

    Example:
        >>> import tempfile
        >>> from minigrad.saving import atomic
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     atomic.write(Path(folder) / "note.txt", [b"all ", b"or nothing"])
        ...     (Path(folder) / "note.txt").read_text()
        'all or nothing'
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(target.name + ".part")
    with _one_at_a_time:
        try:
            with part.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                _flush(file)
            _rename(part, target)
        except BaseException:  # Ctrl-C too
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rename(part: Path, target: Path) -> None:
    """Put `part` in the place of `target`, for good or not at all."""
    try:
        old: BinaryIO | None = target.open("rb")  # keeps what it holds until the folder is known to be written
    except FileNotFoundError:
        old = None
    try:
        part.replace(target)
        try:
            _sync_folder(target.parent)
        except BaseException:
            _put_back(old, part, target)
            raise
    finally:
        if old is not None:
            old.close()


def _put_back(old: BinaryIO | None, part: Path, target: Path) -> None:
    """The rename was made but may not last: the caller is told of an error, so the old content must be there again."""
    if old is None:
        target.unlink(missing_ok=True)
        return
    with part.open("wb") as file:
        while block := old.read(1 << 20):
            file.write(block)
    part.replace(target)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last. Windows cannot open a folder, and orders its renames by itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
