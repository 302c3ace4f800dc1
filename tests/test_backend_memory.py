"""The malloc state: what is set, when it is left alone, and that pages stay."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from minigrad.backend import memory
from minigrad.errors import ArgumentError

GLIBC = bool(memory._libc_version())
needs_glibc = pytest.mark.skipif(not GLIBC, reason="glibc's malloc only")


def run(code: str, *options: str, **env: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, *options, "-c", f"from minigrad.backend import memory\n{code}"],
        env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return (done.stdout + done.stderr).strip()


@needs_glibc
@pytest.mark.parametrize(
    ("options", "env", "words"),
    [
        ((), {}, "warmed up"),
        ((), {"MINIGRAD_MEMORY": "system"}, "left as it is"),
        (("-X", "tracemalloc"), {}, "left as it is"),
        ((), {"PYTHONTRACEMALLOC": "1"}, "left as it is"),
        ((), {"MINIGRAD_MEMORY": "sytem"}, "MINIGRAD_MEMORY='sytem': the only value is"),
    ],
    ids=str,
)
def test_the_state_after_import(options: tuple[str, ...], env: dict[str, str], words: str) -> None:
    assert words in run("print(memory.state())", *options, **env)


@pytest.mark.parametrize("lacking", [AttributeError, ValueError, OSError])
def test_another_c_library_is_left_as_it_is(lacking: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as musl, which has no such name, and Windows, which has no `confstr`."""

    def confstr(name: str) -> str:
        raise lacking(name)

    monkeypatch.setattr("os.confstr", confstr, raising=False)
    assert (memory.keep(), memory.release(), memory.state()) == (False, False, "not glibc, left as it is")


def test_what_malloc_refuses_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    libc = SimpleNamespace(mallopt=lambda what, size: asked.append(size), malloc_trim=lambda pad: asked.append(pad))
    monkeypatch.setattr(memory, "_glibc", lambda: libc)
    monkeypatch.setattr(memory, "_kept", 0)
    assert memory.keep("1GiB") is False
    assert asked == [1 << 30, 32 << 20, 1 << 30]
    assert "keeps up to 1024" not in memory.state()
    assert memory.release() is True  # nothing was kept, so nothing is undone
    assert asked[3:] == [0]


@needs_glibc
def test_keep_and_release() -> None:
    out = run('print(memory.keep("1GiB"), memory.state()); print(memory.release(), memory.state())')
    assert "True glibc" in out
    assert "keeps up to 1024 MiB (mallopt)\nTrue glibc" in out
    assert out.endswith("warmed up (keeps up to 64 MiB)")
    assert run("print(memory.keep())", MINIGRAD_MEMORY="system") == "False"


def test_ctypes_is_imported_only_when_asked() -> None:
    code = (
        "import sys; print('tracemalloc' in sys.modules, sys.modules['minigrad.backend.memory'].__dict__.get('ctypes'))"
    )
    assert run(code) == "False None"


@pytest.mark.parametrize("limit", ["", "much", "-1MiB", 0, -5, "2GiB", "1XiB"])
def test_a_limit_that_is_no_size(limit: str | int) -> None:
    with pytest.raises(ArgumentError, match=r"limit=.*512MiB"):
        memory.keep(limit)


@pytest.mark.parametrize(("limit", "size"), [("1GiB", 1 << 30), ("512 MiB", 512 << 20), ("1.5kb", 1500), (4096, 4096)])
def test_sizes(limit: str | int, size: int) -> None:
    assert memory._bytes(limit) == size


FAULTS = """
import resource, numpy as np
if {keep}: memory.keep()
def step():
    x = np.zeros(1 << 18, np.float32)
    tape = [x + 1 for _ in range({blocks})]
for _ in range(3): step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 5)
"""


@needs_glibc
@pytest.mark.parametrize(("blocks", "keep"), [(20, False), (120, True)])
def test_a_freed_tape_is_not_faulted_in_again(blocks: int, keep: bool) -> None:
    faults = int(run(FAULTS.format(blocks=blocks, keep=keep)))
    assert faults <= 300  # of 256 pages a block
