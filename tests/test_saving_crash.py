"""Checkpoints: what a killed process and an error of the disk leave behind (figures S1, S2)."""

from __future__ import annotations

import io
import os
import subprocess
import sys
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
            raise OSError(28, "No space left on device")
        return self.inner(*args, **kwargs)


@pytest.mark.parametrize("old", [True, False], ids=["replacing", "new"])
@pytest.mark.parametrize("what", ["write", "fsync", "replace", "open"])
def test_an_error_at_any_moment_leaves_the_old_file_alone(
    what: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2: the n-th write, fsync, rename or open fails, for every n that occurs."""
    path, opened = tmp_path / "x", io.open
    for number in range(1, 20):
        if old:
            mg.save(path, version=1)
        with monkeypatch.context() as patch:
            if what == "write":
                failing = Failing(None, number)

                def open_wrapped(*args: Any, failing: Failing = failing, **kwargs: Any) -> Any:
                    file = opened(*args, **kwargs)
                    if "w" in (args[1] if len(args) > 1 else kwargs.get("mode", "r")):
                        raw = file

                        class Wrapped:
                            def __enter__(self) -> Any:
                                return self

                            def __exit__(self, *exc: object) -> None:
                                raw.close()

                            def write(self, data: Any) -> int:
                                failing.inner = raw.write
                                return failing(data)

                            flush, fileno = raw.flush, raw.fileno

                        return Wrapped()
                    return file

                patch.setattr(io, "open", open_wrapped)
            elif what == "open":
                patch.setattr(io, "open", failing := Failing(opened, number))
            else:
                patch.setattr(os, what, failing := Failing(getattr(os, what), number))
            try:
                mg.save(path, version=2)
            except OSError:
                assert failing.failed
        if not failing.failed:
            assert number > 1
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


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "x")
    mg.save(tmp_path / "link", a=1)
    assert (tmp_path / "link").is_symlink()
    assert mg.load(tmp_path / "real" / "x") == {"a": 1}
