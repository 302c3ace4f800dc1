"""Checkpoints: what a killed process and an error of the disk leave behind (figures S1, S2)."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
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


SAVER = """
import sys, minigrad as mg
import numpy as np
class Big(mg.Module):
    def __init__(self):
        self.x = mg.Buffer(np.zeros(200_000))
model = Big()
for n in range(10**6):
    model.x.assign(mg.zeros(200_000, dtype="float64") + n)
    mg.save(sys.argv[1], model=model, n=n)
    print(n, flush=True)
"""


def test_a_killed_process_leaves_a_whole_file(tmp_path: Path, nightly: bool) -> None:
    """S1: `kill -9` at a random moment; what was acknowledged is there, or something newer."""
    path = tmp_path / "x"
    rng = np.random.default_rng(0)
    for _ in range(200 if nightly else 4):
        saver = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE, text=True)
        assert saver.stdout is not None
        acknowledged = int(saver.stdout.readline())
        try:
            saver.wait(float(rng.random() * 0.02))
        except subprocess.TimeoutExpired:
            saver.send_signal(signal.SIGKILL)
        for line in saver.stdout.read().split():
            acknowledged = int(line)
        saver.wait()
        saver.stdout.close()
        n = mg.load(path)["n"]
        assert n >= acknowledged
        assert mg.load_tensors(path)["x"].tolist()[:: 200_000 // 7] == [n] * 8
        assert {p.name for p in tmp_path.iterdir()} <= {"x", "x.part"}


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "x")
    mg.save(tmp_path / "link", a=1)
    assert (tmp_path / "link").is_symlink()
    assert mg.load(tmp_path / "real" / "x") == {"a": 1}
