"""Writing a file so that nobody ever sees half of it: a temporary name beside it, fsync, rename, fsync of the folder.

A process that is killed at any moment leaves the old file or the new one, and at most one stray file of a fixed name
(`NAME.part`), which the next save takes over. An error leaves the old file and nothing else. Threads and processes that
write one file take turns: they hold a lock on `NAME.part`, which ends with its holder. (Windows has no such lock, but
refuses to remove or rename what another process has open; there the later one fails.)
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

try:
    fcntl: Any = import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

__all__ = ["write"]

PATIENCE = 60.0  # seconds for which another process may write the same file
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # a file system that cannot lock
NO_FOLDERS = {errno.EINVAL, errno.EOPNOTSUPP}  # one whose folders cannot be fsynced

_turn = threading.RLock()
_under_way: set[Path] = set()  # what this thread is writing, should a signal's handler come here in the midst of it
if hasattr(os, "register_at_fork"):  # a child must not find the lock held by a thread that it does not have
    os.register_at_fork(before=_turn.acquire, after_in_parent=_turn.release, after_in_child=_turn.release)


def write(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Let the file `path` hold `pieces`, one after the other; a link is followed, so that what it names is replaced.

    The permissions of an old file are kept. Raises OSError as the system gives it; the file is then what it was before.

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
    with _turn:
        _refuse_what_is_no_file(target)
        _under_way.add(target)
        try:
            _write(target, part, pieces)
        finally:
            _under_way.discard(target)


def _refuse_what_is_no_file(target: Path) -> None:
    """Before anything is written: what would fail in the end, or replace what is not ours to replace."""
    if target in _under_way:
        raise OSError(
            errno.EDEADLK, "this thread is saving it already; let a signal's handler set a flag, and save later",
            str(target),
        )  # fmt: skip
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder to save in; make it first", str(target.parent))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder has this name; name a file", str(target))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "a device or a pipe has this name, which a file would replace", str(target))


def _write(target: Path, part: Path, pieces: Iterable[bytes | memoryview]) -> None:
    with ExitStack() as held:
        handle = _claim(part)
        held.callback(os.close, handle)
        try:
            os.ftruncate(handle, 0)
            for piece in pieces:
                _write_all(handle, piece)
            os.fsync(handle)
            if fcntl is None:  # Windows renames nothing that is open, and orders its renames by itself
                held.close()
                part.replace(target)
            else:
                _replace_for_good(handle, part, target)
        except BaseException:  # Ctrl-C too
            with suppress(OSError):
                if fcntl is None:
                    held.close()
                    part.unlink(missing_ok=True)
                elif _is_at(handle, part):
                    part.unlink()
            raise


def _claim(part: Path) -> int:
    """`part`, open for nobody else: a new file, or a stray one of a process that was killed, still to be emptied."""
    binary: int = getattr(os, "O_BINARY", 0)
    if fcntl is None:
        part.unlink(missing_ok=True)
        return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, 0o666)
    until = time.monotonic() + PATIENCE
    while True:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            if _locked(handle) and _is_at(handle, part):  # and not renamed by the one that held it until now
                return handle
            if time.monotonic() > until:
                raise BlockingIOError(
                    errno.EAGAIN, f"another process has been writing it for {PATIENCE:.0f} seconds", str(part)
                )
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        time.sleep(0.01)


def _locked(handle: int) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's, not inherited by a process that is forked
    except OSError as problem:
        if problem.errno not in {errno.EAGAIN, errno.EACCES, *NO_LOCKS}:
            raise
        return problem.errno in NO_LOCKS
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is the one that has this name."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _write_all(handle: int, piece: bytes | memoryview) -> None:
    left = memoryview(piece).cast("B")
    while left:
        left = left[os.write(handle, left) :]


def _replace_for_good(handle: int, part: Path, target: Path) -> None:
    """Put `part` in the place of `target`, for good or not at all."""
    with ExitStack() as held:
        old = None
        with suppress(FileNotFoundError):  # keeps what it holds until the folder is known to be written
            old = os.open(target, os.O_RDONLY)
            held.callback(os.close, old)
            _copy_mode(old, handle)
        part.replace(target)
        try:
            _sync_folder(target.parent)
        except BaseException:
            if _is_at(handle, target):
                _put_back(old, part, target)
            raise


def _put_back(old: int | None, part: Path, target: Path) -> None:
    """The rename was made but may not last: the caller is told of an error, so the old content must be there again."""
    if old is None:
        target.unlink()
        return
    handle = _claim(part)
    try:
        os.ftruncate(handle, 0)
        while block := os.read(old, 1 << 20):
            _write_all(handle, block)
        _copy_mode(old, handle)
        part.replace(target)
    finally:
        os.close(handle)


def _copy_mode(old: int, new: int) -> None:
    modes = [stat.S_IMODE(os.fstat(handle).st_mode) for handle in (old, new)]
    if modes[0] != modes[1]:  # not every file system can change them
        os.fchmod(new, modes[0])


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as problem:
        if problem.errno not in NO_FOLDERS:
            raise
    finally:
        os.close(handle)
