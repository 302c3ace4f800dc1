"""Checkpoints: what a killed process and an error of the disk leave behind (figures S1, S2)."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import minigrad as mg


class Failing:
    """Makes the n-th call of a function fail, as a full or broken disk would."""

    def __init__(self, inner: Any, number: int) -> None:
        self.inner, self.left, self.failed = inner, number, False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            self.failed = True
            raise OSError(errno.EIO, "Input/output error")
        return self.inner(*args, **kwargs)


@pytest.mark.parametrize("old", [True, False], ids=["replacing", "new"])
@pytest.mark.parametrize("what", ["open", "ftruncate", "write", "fsync", "fchmod", "replace"])
def test_an_error_at_any_moment_leaves_the_old_file_alone(
    what: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2: the n-th write, fsync, rename, … of the system fails, for every n that occurs."""
    path = tmp_path / "x"
    for number in range(1, 20):
        if old:
            mg.save(path, version=1)
            path.chmod(0o600)  # other than a new file has
        with monkeypatch.context() as patch:
            patch.setattr(os, what, failing := Failing(getattr(os, what), number))
            with suppress(OSError):
                mg.save(path, version=2)
                assert not failing.failed, "it was not told"
        if not failing.failed:
            assert number > (what != "fchmod" or old)
            return
        assert [p.name for p in tmp_path.iterdir()] == (["x"] if old else [])
        assert not old or mg.load(path) == {"version": 1}
    pytest.fail("it never got through")


NURSERY = """
import os, random, signal, sys, time
import numpy as np
import minigrad as mg

path, kills, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]

class Big(mg.Module):
    def __init__(self):
        self.x = mg.Buffer(np.zeros(40_000))

def save_forever(pipe):
    model = Big()
    for n in range(mg.load(path)["n"] + 1 if os.path.exists(path) else 0, 10**9):
        model.x.assign(mg.zeros(40_000, dtype="float64") + n)
        mg.save(path, model=model, n=n)
        os.write(pipe, b"%d " % n)  # acknowledged

if how == "in place":  # the fault, put in
    def write(path, pieces):
        with open(path, "wb") as file:
            for piece in pieces:
                file.write(piece)
    from minigrad.saving import sealed
    sealed.atomic.write = write

draw, lost, last = random.Random(0), 0, -1
for _ in range(kills):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        save_forever(write)
    os.close(write)
    told = os.read(read, 64)
    time.sleep(draw.random() * 0.004)  # a save takes about 1 ms
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(read, 1 << 16):
        told += more
    os.close(read)
    acknowledged = int(told.split()[-1])
    try:
        n = mg.load(path)["n"]
        whole = n >= acknowledged > last and (mg.load_tensors(path)["x"] == n).all()
        last = n
    except mg.errors.CheckpointError:
        whole = False
        os.unlink(path)
        last = -1
    lost += not whole
print(kills, lost, *sorted(os.listdir(os.path.dirname(path))))
"""


def killed(folder: Path, kills: int, how: str = "atomic") -> tuple[int, set[str]]:
    """How many of so many kills lost an acknowledged checkpoint, and the names of the files that are left.

    A process that has imported everything forks the savers: 200 kills in the time of 15 imports.
    """
    asked = [sys.executable, "-W", "ignore", "-c", NURSERY, str(folder / "x"), str(kills), how]
    out = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=600).stdout.split()
    assert int(out[0]) == kills
    return int(out[1]), set(out[2:])


def test_a_killed_process_leaves_a_whole_file(tmp_path: Path, nightly: bool) -> None:
    """S1: `kill -9` at a random moment; what was acknowledged is there, or something newer."""
    lost, files = killed(tmp_path, 1000 if nightly else 200)
    assert lost == 0
    assert files <= {"x", "x.part"}


def test_kills_do_find_a_save_in_place(tmp_path: Path) -> None:
    """F16: what the test above is there for."""
    assert killed(tmp_path, 60, "in place")[0] > 0
