"""Checkpoints: what comes back, and what is refused (figures S3, S5, S6, R4)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import examples

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential

DATA = Path(__file__).parent / "data"


class Arrays:
    """Anything that can be saved: here, a bag of arrays."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays

    def state_dict(self) -> dict[str, Any]:
        return dict(self.arrays)

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        self.arrays = dict(state)

    def named_modules(self) -> list[Any]:
        return []

    named_generators = named_modules


def network() -> Sequential:
    mg.random.seed(3)
    return Sequential(Linear(4, 5), BatchNorm1d(5), ReLU(), Dropout(0.3), Linear(5, 2))


def trained(steps: int = 3) -> tuple[Sequential, Any]:
    model = network()
    optimizer = mg.optim.Adam(model.parameters(), lr=1e-2)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        optimizer.zero_grad()
        mg.mean(model(mg.tensor(rng.standard_normal((6, 4)), dtype="float32")) ** 2).backward()
        optimizer.step()
    return model, optimizer


def everything(model: Any, optimizer: Any) -> Any:
    """All that a step depends on, to be compared."""
    state = {name: array.tobytes() for name, array in model.state_dict().items()}
    moments = repr(optimizer.state_dict())
    return state, moments, [generator.state for _, generator in model.named_generators()]


# ---- what comes back


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4", ">i8"])
@pytest.mark.parametrize(
    "kind", ["plain", "0-d", "empty", "transposed", "reversed", "strided", "broadcast", "read-only"]
)
def test_every_layout_of_every_dtype_comes_back(dtype: str, kind: str, tmp_path: Path) -> None:
    a = (np.arange(24).reshape(4, 6) % 7).astype(dtype)
    a = {
        "plain": a, "0-d": a[1, 2, ...], "empty": a[:0], "transposed": a.T, "reversed": a[::-1, ::-1],
        "strided": a[::2, 1::3], "broadcast": np.broadcast_to(a[:1], (3, 6)), "read-only": a.copy(),
    }[kind]  # fmt: skip
    if kind == "read-only":
        a.setflags(write=False)
    into = Arrays()
    mg.save(tmp_path / "x", model=Arrays(a=a, b=a))
    mg.load(tmp_path / "x", model=into)
    for found in into.arrays.values():
        assert found.shape == a.shape
        assert found.dtype == a.dtype.newbyteorder("=")
        assert found.tobytes() == a.astype(a.dtype.newbyteorder("=")).tobytes()
        found[...] = 1  # what was loaded is the caller's own


def test_model_optimizer_and_streams_come_back_bit_for_bit(tmp_path: Path) -> None:
    model, optimizer = trained()
    extra = {
        "epoch": 3,
        "inf": float("inf"),
        "shape": (2, 3),
        "table": {1: "one", "$x": [None, True]},
        "sha256": "0" * 64,
    }
    mg.save(tmp_path / "x", model=model, optimizer=optimizer, **extra)
    other, more = trained(1)
    assert everything(other, more) != everything(model, optimizer)
    assert mg.load(tmp_path / "x", model=other, optimizer=more) == extra
    assert everything(other, more) == everything(model, optimizer)
    assert np.isnan(saved_and_loaded(tmp_path, x=float("nan"))["x"])


def saved_and_loaded(folder: Path, **extra: Any) -> dict[str, Any]:
    mg.save(folder / "extra", **extra)
    return mg.load(folder / "extra")


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model, optimizer = trained()
        mg.save(tmp_path / name, model=model, optimizer=optimizer)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_golden_checkpoint_of_format_1_loads() -> None:
    """R4 and S6: names, their order and the values in a file that never changes."""
    model, optimizer = trained(0)
    assert mg.load(DATA / "checkpoint-1.safetensors", model=model, optimizer=optimizer) == {"made": "by format 1"}
    names = (DATA / "checkpoint-1.txt").read_text().splitlines()
    digests = [f"{k} {hashlib.sha256(v.tobytes()).hexdigest()[:16]}" for k, v in model.state_dict().items()]
    assert digests == names
    assert optimizer.state_dict()["state"]["0"]["step"] == 3


def test_another_program_reads_our_file_and_we_read_its(tmp_path: Path) -> None:
    numpy_side = pytest.importorskip("safetensors.numpy")
    model, _ = trained()
    mg.save(tmp_path / "ours", model=model)
    theirs = numpy_side.load_file(tmp_path / "ours")
    assert all(np.array_equal(theirs[name], array) for name, array in model.state_dict().items())
    numpy_side.save_file({"w": np.eye(3), "n": np.int64([4])}, tmp_path / "theirs", {"format": "pt"})
    found = mg.load_tensors(tmp_path / "theirs")
    assert list(found) == ["n", "w"]
    assert np.array_equal(found["w"], np.eye(3))
    header = b'{"b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "bf16").write_bytes(len(header).to_bytes(8, "little") + header + bytes([0x80, 0x3F, 0x20, 0xC0]))
    assert mg.load_tensors(tmp_path / "bf16")["b"].tolist() == [1.0, -2.5]


# ---- what is refused


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    model, optimizer = trained()
    mg.save(path, model=model, optimizer=optimizer)
    narrow = Sequential(Linear(4, 6), BatchNorm1d(6), ReLU(), Dropout(0.3), Linear(6, 2))
    with pytest.raises(mg.errors.CheckpointError, match=r"0.weight has shape \(5, 4\), the model's \(6, 4\)"):
        mg.load(path, model=narrow)
    with pytest.raises(mg.errors.CheckpointError, match="missing"):
        mg.load(path, model=Sequential(Linear(4, 5), Linear(5, 2), Linear(2, 2)))
    with pytest.raises(mg.errors.CheckpointError, match="layers differ: 3 was Dropout, here it is ReLU"):
        mg.load(path, model=Sequential(Linear(4, 5), BatchNorm1d(5), ReLU(), ReLU(), Linear(5, 2)))
    other, _ = trained(1)
    sgd = mg.optim.SGD(other.parameters(), lr=0.1)
    before = everything(other, sgd)
    with pytest.raises(mg.errors.CheckpointError, match="SGD"):
        mg.load(path, model=other, optimizer=sgd)  # the model fits, the optimiser does not
    assert everything(other, sgd) == before
    mg.save(path, model=model)
    with pytest.raises(mg.errors.CheckpointError, match="holds no optimizer, only model"):
        mg.load(path, optimizer=optimizer)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"f": print}, "json_extra/f is a builtin"),
        ({"a": {"b": np.ones(2)}}, "json_extra/a/b is a ndarray"),
        ({"s": {1}}, "set"),
    ],
)
def test_extras_that_are_no_json_are_refused(extra: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(mg.errors.ArgumentError, match=said):
        mg.save(tmp_path / "x", **extra)
    assert list(tmp_path.iterdir()) == []


TOKEN = re.compile(rb'[{}\[\],:]|\\?"|[0-9]+|[a-zA-Z_]+')
OTHERS = [*b"{}[],:", b'"', b'\\"', b"0", b"-1", b"1e9", b"4294967296", b"null", b"NaN", b"F32", b"I64", b"weight", b""]


def reworded(whole: bytes, rng: np.random.Generator) -> bytes:
    """One word of the header's JSON for another, the header's length put right."""
    header = whole[8 : 8 + int.from_bytes(whole[:8], "little")]
    words = list(TOKEN.finditer(header))
    word, other = words[int(rng.integers(len(words)))], OTHERS[int(rng.integers(len(OTHERS)))]
    other = bytes([other]) if isinstance(other, int) else other
    new = header[: word.start()] + other + header[word.end() :]
    return len(new).to_bytes(8, "little") + new + whole[8 + len(header) :]


def test_an_altered_file_is_never_accepted(tmp_path: Path, nightly: bool) -> None:
    """S3: bits, cuts, insertions, bytes and words of the header put to something else."""
    model, optimizer = trained()
    path = tmp_path / "x"
    mg.save(path, model=model, optimizer=optimizer, epoch=1)
    whole = path.read_bytes()
    before = everything(model, optimizer)
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
    os.close(file)
    assert everything(model, optimizer) == before


@settings(max_examples=examples(100))
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_refused_or_read(body: bytes, framed: bool) -> None:
    """Fuzzing: whatever a file holds, the answer is tensors or a CheckpointError."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(sealed(body) if framed else body)
        file.flush()
        try:
            arrays = mg.load_tensors(file.name)
        except mg.errors.CheckpointError:
            pass
        else:
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
        with pytest.raises(mg.errors.CheckpointError):
            mg.load(file.name)


def sealed(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + body


TENSOR = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
HOSTILE = {
    "nothing": b"",
    "length 2**63": sealed(b"{}", length=2**63),
    "length beyond the end": sealed(b"{}", length=3),
    "no JSON": sealed(b"{]"),
    "depth 100,000": sealed(b'{"a":' + b"[" * 100_000),
    "a name twice": sealed(b'{"a":' + TENSOR + b',"a":' + TENSOR + b"}", bytes(4)),
    "a hole": sealed(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', bytes(8)),
    "an overlap": sealed(b'{"a":' + TENSOR + b',"b":' + TENSOR + b"}", bytes(4)),
    "a shape that overflows": sealed(
        b'{"a":{"dtype":"F32","shape":[9223372036854775808,2],"data_offsets":[0,8]}}', bytes(8)
    ),
    "NaN": sealed(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}', bytes(4)),
    "bad UTF-8": sealed(b'{"\xff":' + TENSOR + b"}", bytes(4)),
    "100,000 entries": sealed(b"{" + b",".join(b'"%d":0' % k for k in range(100_000)) + b"}"),
    "100,000 tensors and a hole": sealed(
        b"{"
        + b",".join(
            b'"%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}' % (k, k + (k > 5), k + 1 + (k > 5))
            for k in range(100_000)
        )
        + b"}",
        bytes(100_001),
    ),
    "a text of 4 MB": sealed(b'{"__metadata__":{"minigrad":"' + b"a" * 4_000_000 + b'"}'),
    "a dtype of nobody": sealed(b'{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', bytes(4)),
}


BOUNDED = """
import json, resource, sys, time
import minigrad as mg
mg.save(sys.argv[1] + ".warm", n=1)
mg.load(sys.argv[1] + ".warm")
for load in (mg.load, mg.load_tensors):
    for path in sys.argv[1:]:
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        try:
            load(path)
        except mg.errors.CheckpointError as problem:
            spent = time.perf_counter() - start
            rss = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
            print(json.dumps([load.__name__, path, spent, rss]))
"""
ROOM = {("load_tensors", "100,000 tensors and a hole"): 8}  # what the safetensors library makes of such a header


def test_hostile_files_are_refused_at_little_cost(tmp_path: Path) -> None:
    """S4: CheckpointError within a second and twice the file and 10 MB of memory."""
    pytest.importorskip("resource")
    for k, data in enumerate(HOSTILE.values()):
        (tmp_path / str(k)).write_bytes(data)
    paths = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_size)  # the peak only rises
    done = subprocess.run([sys.executable, "-c", BOUNDED, *map(str, paths)], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2 * len(HOSTILE)
    for load, path, seconds, memory in rows:
        what, size = list(HOSTILE)[int(Path(path).name)], Path(path).stat().st_size
        assert seconds <= 1, (load, what)
        assert memory <= ROOM.get((load, what), 2) * size + 10_000_000, (load, what)


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
    at = data.index(rb"{\"sha256\":\"") + 14
    blank = data[:at] + b"0" * 64 + data[at + 64 :]
    (tmp_path / "x").write_bytes(data[:at] + hashlib.sha256(blank).hexdigest().encode() + data[at + 64 :])
    with pytest.raises(mg.errors.CheckpointError, match=said):
        mg.load(tmp_path / "x", model=model)


def test_loading_imports_nothing(tmp_path: Path) -> None:
    model, optimizer = trained()
    mg.save(tmp_path / "x", model=model, optimizer=optimizer)
    before = set(sys.modules)
    mg.load(tmp_path / "x", model=model, optimizer=optimizer)
    mg.load_tensors(tmp_path / "x")
    assert set(sys.modules) == before


def test_the_document_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    model, optimizer = trained()
    mg.save(tmp_path / "x", model=model, optimizer=optimizer, epoch=1)
    data = (tmp_path / "x").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    document = json.loads(header["__metadata__"]["minigrad"])
    assert list(document) == ["sha256", "format", "model", "optimizer", "extra"]
    assert document["model"]["layers"]["3"] == "Dropout"
    assert document["model"]["streams"] == {"3.generator": [3, 1, 3]}
    assert document["extra"] == {"epoch": 1}
