"""Checkpoints where the file system says no, and where two of them are written at once (S1, S2)."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import unmeasured

import minigrad as mg
from minigrad.saving import atomic


class Big(mg.Module):
    """`size` numbers that are all the same."""

    def __init__(self, size: int, value: float = 0.0) -> None:
        self.x = mg.Buffer(np.full(size, value))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(code: str, *arguments: Any, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=unmeasured(), capture_output=True, text=True, timeout=120, check=False)


# ---- what stands in the way


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "x")
    for n in (1, 2):
        mg.save(tmp_path / "link", a=n)
        assert (tmp_path / "link").is_symlink()
        assert mg.load(tmp_path / "real" / "x") == {"a": n}
    assert files(tmp_path) == ["link", "real"]


def test_a_name_that_is_no_files_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for name, error, told in (
        ("folder", IsADirectoryError, "a folder has this name"),
        ("pipe", OSError, "a device or a pipe has this name"),
        ("round", OSError, "round"),
        ("missing/x", FileNotFoundError, "no such folder to save in"),
    ):
        with pytest.raises(error, match=told) as caught:
            mg.save(tmp_path / name, n=1)
        assert str(tmp_path) in str(caught.value)
    assert files(tmp_path) == ["folder", "pipe", "round"]
    with pytest.raises(OSError, match="a device or a pipe"):
        mg.save("/dev/null", n=1)
    with pytest.raises(IsADirectoryError):
        mg.load(tmp_path / "folder")


NAMES = (
    "aux", "a:b", "a*?<>|b", 'quo"te', "back\\slash", "dot.", " ", "ä 漢字 \N{GRINNING FACE}", "line\nbreak", "-rf",
    "n" * 250,
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_the_systems_matter(name: str, tmp_path: Path) -> None:
    """What some systems forbid works where it is allowed, and is an error that leaves nothing where it is not."""
    try:
        mg.save(tmp_path / name, n=1)
    except OSError:
        if os.name != "nt":
            raise
        assert files(tmp_path) == []
    else:
        assert mg.load(tmp_path / name) == {"n": 1}
        assert files(tmp_path) == [name]
    for bad in ("n" * 300, "a\0b"):
        with pytest.raises((OSError, ValueError)):
            mg.save(tmp_path / "empty" / bad, n=1)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_are_kept(tmp_path: Path) -> None:
    """Whoever made a checkpoint private finds it private afterwards; a new one has what the system gives a new file."""
    mg.save(tmp_path / "x", n=1)
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x", "plain")]
    assert modes[0] == modes[1]
    (tmp_path / "x").chmod(0o600)
    mg.save(tmp_path / "x", n=2)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600


PRIVATE = """
import os, sys
import minigrad as mg
mg.save(sys.argv[1] + "/x", n=1)
mg.load(sys.argv[1] + "/x")  # which imports what it needs
os.chmod(sys.argv[1], 0o555)
if not os.getuid():
    os.setuid(65534)
try:
    mg.save(sys.argv[1] + "/x", n=2)
except PermissionError as problem:
    print(problem)
print(mg.load(sys.argv[1] + "/x"), os.listdir(sys.argv[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_folder_that_is_read_only() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to the user that root becomes here
        done = run(PRIVATE, folder)
        Path(folder).chmod(0o755)
    assert done.returncode == 0, done.stderr
    told, left = done.stdout.splitlines()
    assert "Permission denied" in told
    assert folder in told
    assert left == "{'n': 1} ['x']"


FULL = """
import os, subprocess, sys
import numpy as np
import minigrad as mg
path, how = sys.argv[1] + "/x", sys.argv[2]
if how == "disk":
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", sys.argv[1]], check=True)
else:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
class Big(mg.Module):
    def __init__(self, size): self.x = mg.Buffer(np.zeros(size))
mg.save(path, model=Big(10_000), n=1)
for _ in range(3):
    try:
        mg.save(path, model=Big(100_000), n=2)
    except OSError as problem:
        print(problem.errno)
print(mg.load(path, model=Big(10_000))["n"], *os.listdir(sys.argv[1]))
mg.save(path, n=3)
print(mg.load(path)["n"])
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
@pytest.mark.parametrize("how", ["disk", "limit"])
def test_a_full_disk_loses_nothing(how: str, tmp_path: Path) -> None:
    """S2 by the system itself: a small tmpfs that is full, a limit on the size of files."""
    aside = ("unshare", "--mount", "--map-root-user") if how == "disk" else ()
    if aside:
        try:
            subprocess.run([*aside, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("this system lets nobody mount a tmpfs")
    done = run(FULL, tmp_path, how, before=aside)
    assert done.returncode == 0, done.stderr
    code = str(errno.ENOSPC if how == "disk" else errno.EFBIG)
    assert done.stdout.split() == [code, code, code, "1", "x", "3"]


# ---- two at once

PAIR = """
import os, sys
import numpy as np
import minigrad as mg
path, size, rounds, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if how == "no lock":  # the fault, put in
    from minigrad.saving import atomic
    atomic._locked = lambda handle: True
class Big(mg.Module):
    def __init__(self): self.x = mg.Buffer(np.zeros(size))
model, wrong = Big(), 0
print("ready", flush=True)
sys.stdin.readline()
for k in range(rounds):
    model.x.assign(mg.zeros(size, dtype="float64") + k)
    try:
        mg.save(path, model=model, k=k)
        mg.load(path)  # ours, or the other one's, whole
        tensors = mg.load_tensors(path)["x"]
        wrong += not (tensors == tensors[0]).all()
    except (OSError, mg.errors.CheckpointError):
        wrong += 1
print(wrong)
"""


def two_savers(path: Path, rounds: int, how: str) -> int:
    """How often two processes that save files of different sizes under one name failed or found a broken file."""
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", PAIR, str(path), str(size), str(rounds), how],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for size in (40_000, 90_000)
    ]  # fmt: skip
    for process in pair:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in pair:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(int(process.communicate(timeout=120)[0]) for process in pair)


@pytest.mark.skipif(atomic.fcntl is None, reason="there, the later of two processes is told that the file is open")
def test_two_processes_that_save_under_one_name_take_turns(tmp_path: Path, nightly: bool) -> None:
    assert two_savers(tmp_path / "x", 500 if nightly else 60, "locked") == 0
    assert files(tmp_path) == ["x"]


@pytest.mark.skipif(atomic.fcntl is None, reason="as above")
def test_two_processes_without_the_lock_do_break_it(tmp_path: Path) -> None:
    """What the test above is there for."""
    assert any(two_savers(tmp_path / "x", 60, "no lock") for _ in range(5)), "a busy machine may keep them apart"


HOLD = """
import sys, time
from minigrad.saving import atomic
def pieces():
    yield b"half"
    print("holding", flush=True)
    time.sleep(float(sys.argv[2]))
    yield b" and whole"
atomic.write(sys.argv[1], pieces())
"""


@pytest.mark.skipif(atomic.fcntl is None, reason="as above")
def test_a_process_that_does_not_end_its_save_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is killed in its midst leaves the way free."""
    path = tmp_path / "x"
    mg.save(path, n=1)
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(path), "60"], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "holding\n"
    monkeypatch.setattr(atomic, "PATIENCE", 0.05)
    with pytest.raises(BlockingIOError, match=r"another process has been writing it.*x\.part"):
        mg.save(path, n=2)
    assert mg.load(path) == {"n": 1}
    other.kill()
    other.communicate()
    assert files(tmp_path) == ["x", "x.part"]
    mg.save(path, n=3)
    assert mg.load(path) == {"n": 3}
    assert files(tmp_path) == ["x"]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of POSIX")
def test_a_signals_handler_that_saves_the_same_file_is_told(tmp_path: Path) -> None:
    """It came in the midst of a save: waiting for that would be for ever, and writing would break it."""
    path, told = tmp_path / "x", []

    def pieces() -> Any:
        yield b"first, "
        signal.raise_signal(signal.SIGUSR1)
        yield b"second"

    def handler(*_: Any) -> None:
        mg.save(tmp_path / "other", n=1)
        with pytest.raises(OSError, match="this thread is saving it already") as caught:
            mg.save(path, n=2)
        told.append(caught.value.errno)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        atomic.write(path, pieces())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told == [errno.EDEADLK]
    assert path.read_bytes() == b"first, second"
    assert mg.load(tmp_path / "other") == {"n": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_saves_can_save(tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def pieces() -> Any:
        inside.set()
        go_on.wait(60)
        yield b"all"

    thread = threading.Thread(target=atomic.write, args=(tmp_path / "x", pieces()))
    thread.start()
    inside.wait(60)
    threading.Timer(0.1, go_on.set).start()
    child = os.fork()  # waits for the save
    if not child:
        signal.alarm(20)
        atomic.write(tmp_path / "child", [b"too"])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    assert (tmp_path / "child").read_bytes() == b"too"


def test_where_renaming_what_is_open_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows, played: no locks, and nobody removes or renames a file that is open."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files cannot be listed here")

    def refusing(inner: Any) -> Any:
        def call(*paths: Any, **options: Any) -> Any:
            opened = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
            if opened & {os.path.realpath(path) for path in paths}:
                raise PermissionError(errno.EACCES, "the file is used by another process", str(paths[0]))
            return inner(*paths, **options)

        return call

    monkeypatch.setattr(atomic, "fcntl", None)
    for name in ("replace", "unlink", "remove"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    path = tmp_path / "x"
    for n in (1, 2):
        mg.save(path, n=n)
        assert mg.load(path) == {"n": n}
    (tmp_path / "x.part").write_bytes(b"of a process that was killed")
    mg.save(path, n=3)
    with (tmp_path / "x.part").open("wb"), pytest.raises(PermissionError, match="another process"):
        mg.save(path, n=4)
    (tmp_path / "x.part").unlink()

    def broken() -> Any:
        yield b"half"
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        atomic.write(path, broken())
    assert files(tmp_path) == ["x"]
    assert mg.load(path) == {"n": 3}


@pytest.mark.skipif(atomic.fcntl is None, reason="as above")
@pytest.mark.parametrize(
    ("what", "code", "fine"),
    [("lockf", errno.ENOLCK, True), ("lockf", errno.EIO, False), ("fsync", errno.EINVAL, True)],
)
def test_file_systems_that_can_do_less(
    what: str, code: int, fine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some have no locks, some cannot fsync a folder: what they can do is enough; other errors are told."""
    inner = getattr(atomic.fcntl if what == "lockf" else os, what)

    def call(handle: int, *rest: Any) -> Any:
        if what == "lockf" or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        return inner(handle, *rest)

    monkeypatch.setattr(atomic.fcntl if what == "lockf" else os, what, call)
    with nullcontext() if fine else pytest.raises(OSError, match=os.strerror(code)):
        mg.save(tmp_path / "x", n=1)
    assert not fine or mg.load(tmp_path / "x") == {"n": 1}


def test_a_header_of_any_length_is_read(tmp_path: Path) -> None:
    """The first byte of a file is that of a length: 0x80 for headers of 128, 384, 640 … bytes, as it is of a pickle."""
    seen = set()
    for k in range(64):
        path = tmp_path / "one.safetensors"
        mg.save(path, note="x" * 8 * k)
        seen.add(path.read_bytes()[0])
        assert mg.load(path)["note"] == "x" * 8 * k
    assert 0x80 in seen
