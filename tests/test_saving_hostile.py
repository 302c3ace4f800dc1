"""Checkpoints that were altered, made up or made to harm (S3, S4); tests/fuzz_loader.py goes on where these end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import HOSTILE, everything, framed, resealed, reworded, trained, unmeasured
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import examples

import minigrad as mg


def bare(tensors: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in tensors.items()}


def test_an_altered_file_is_never_accepted(tmp_path: Path, nightly: bool) -> None:
    """S3: bits, cuts, insertions, bytes and words of the header put to something else.

    `load_tensors` refuses too, but where the alteration took the seal itself away: then the tensors are what they were.
    """
    model, optimizer = trained()
    path = tmp_path / "x"
    mg.save(path, model=model, optimizer=optimizer, epoch=1)
    whole = path.read_bytes()
    before, tensors = everything(model, optimizer), bare(mg.load_tensors(path))
    rng = np.random.default_rng(0)
    file = os.open(path, os.O_WRONLY)  # one file written over and over: making a new one takes longer than the check
    for k in range(200_000 if nightly else 5000):
        at = int(rng.integers(len(whole)))
        if k % 3 == 0:
            at = int(rng.integers(min(len(whole), 8 + int.from_bytes(whole[:8], "little"))))
        new = bytes(rng.integers(256, size=int(rng.integers(1, 9)), dtype=np.uint8))
        bad = (
            whole[:at] + bytes([whole[at] ^ 1 << k % 8]) + whole[at + 1 :],
            whole[:at],
            whole[:at] + new + whole[at:],
            whole[:at] + new + whole[at + len(new) :],
            reworded(whole, rng) if k % 5 == 4 else whole,
        )[k % 5]
        if bad == whole:
            continue
        os.pwrite(file, bad, 0)
        os.ftruncate(file, len(bad))
        with pytest.raises(mg.errors.CheckpointError):
            mg.load(path, model=model, optimizer=optimizer)
        if k % 8 == 0:
            with suppress(mg.errors.CheckpointError):
                assert bare(mg.load_tensors(path)) == tensors
    os.close(file)
    assert everything(model, optimizer) == before


def test_a_document_that_somebody_sealed_anew_is_taken_or_refused(tmp_path: Path, nightly: bool) -> None:
    """Words of the header put to something else, the seal put right: nothing but a CheckpointError, all or nothing."""
    model, optimizer = trained()
    path, rng, taken = tmp_path / "x", np.random.default_rng(1), 0
    mg.save(path, model=model, optimizer=optimizer, epoch=1, nested=[(1, 2), {"a": float("inf"), 3: None}])
    whole = path.read_bytes()
    before = everything(model, optimizer)
    for _ in range(20_000 if nightly else 500):
        path.write_bytes(resealed(reworded(whole, rng)))
        try:
            mg.load(path, model=model, optimizer=optimizer)
        except mg.errors.CheckpointError:
            assert everything(model, optimizer) == before
        else:
            taken += 1
            path.write_bytes(whole)
            mg.load(path, model=model, optimizer=optimizer)
    assert taken > 0


@settings(max_examples=examples(100))
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_refused_or_read(body: bytes, header: bool) -> None:
    """Fuzzing: whatever a file holds, the answer is tensors or a CheckpointError."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(framed(body) if header else body)
        file.flush()
        try:
            arrays = mg.load_tensors(file.name)
        except mg.errors.CheckpointError:
            pass
        else:
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
        with pytest.raises(mg.errors.CheckpointError):
            mg.load(file.name)


BOUNDED = """
import json, os, sys, time
import minigrad as mg
def peak(word):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(word))
mg.save(sys.argv[1] + ".warm", n=1)
for load in (mg.load, mg.load_tensors):
    load(sys.argv[1] + ".warm")
    for path in sys.argv[1:]:
        if not os.fork():  # what one leaves behind is not there for the next
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # the peak begins anew
            before, start = peak("VmRSS"), time.process_time()
            try:
                load(path)
            except mg.errors.CheckpointError as problem:
                spent, memory = time.process_time() - start, peak("VmHWM") - before
                print(json.dumps([load.__name__, path, spent, memory, str(problem)]), flush=True)
            os._exit(0)
        os.wait()
"""


def test_hostile_files_are_refused_at_little_cost(tmp_path: Path) -> None:
    """S4: CheckpointError within a second of the processor, however busy, and twice the file and 10 MB of memory."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peaks of memory are read as Linux tells them")
    for k, data in enumerate(HOSTILE.values()):
        (tmp_path / str(k)).write_bytes(data)
    paths = list(tmp_path.iterdir())
    asked = [sys.executable, "-c", BOUNDED, *map(str, paths)]
    done = subprocess.run(asked, env=unmeasured(), capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2 * len(HOSTILE)
    for load, path, seconds, memory, told in rows:
        what, size = list(HOSTILE)[int(Path(path).name)], Path(path).stat().st_size
        assert seconds <= 1, (load, what)
        assert memory <= 2 * size + 10_000_000, (load, what)
        assert len(told) <= 1000, (load, what)


@pytest.mark.parametrize("what", ["65 axes", "nothing, 2**62 times", "nothing, 2**63 times"])
def test_a_shape_that_numpy_lacks_is_named(what: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(HOSTILE[what])
    with pytest.raises(mg.errors.CheckpointError, match="tensor 'a' has a shape that NumPy lacks"):
        mg.load_tensors(tmp_path / "x")


def test_a_byte_that_is_no_bool_is_true(tmp_path: Path) -> None:
    """As it is, it would count as 7."""
    (tmp_path / "x").write_bytes(framed(b'{"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}', b"\0\7\1"))
    a = mg.load_tensors(tmp_path / "x")["a"]
    assert (a.dtype, a.tobytes()) == (np.dtype(bool), b"\0\1\1")


def test_a_seal_that_stands_elsewhere_is_none(tmp_path: Path) -> None:
    """In a tensor's entry, where the library passes over what it does not know; the metadata has another."""
    tensor = b'"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"minigrad":"{\\"sha256\\":\\"' + b"0" * 64 + b'\\""}'
    document = b'"__metadata__":{"minigrad":"{ \\"sha256\\": \\"00\\", \\"format\\": 1, \\"extra\\": {}}"}'
    (tmp_path / "x").write_bytes(resealed(framed(b"{" + tensor + b"," + document + b"}")))
    with pytest.raises(mg.errors.CheckpointError, match="its seal does not stand where minigrad writes it"):
        mg.load(tmp_path / "x")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"format":1', b'"format":2', "format 2; this version of minigrad reads 1"),
        (b'"names":[', b'"namen":[', "KeyError"),
        (b'{"a":1}', b'{"$":1}', "does not know"),
        (b'{"a":1}', b'{"a":}}', "cannot be read"),
    ],
)
def test_a_seal_that_fits_does_not_help_a_document_that_does_not(
    old: bytes, new: bytes, said: str, tmp_path: Path
) -> None:
    """Whoever can write the file can seal it, so what it says is checked nevertheless."""
    model, _ = trained()
    mg.save(tmp_path / "x", model=model, a=1)
    data = (tmp_path / "x").read_bytes().replace(old.replace(b'"', rb"\""), new.replace(b'"', rb"\""))
    (tmp_path / "x").write_bytes(resealed(data))
    with pytest.raises(mg.errors.CheckpointError, match=said):
        mg.load(tmp_path / "x", model=model)
