"""Checkpoints: what comes back, and what does not fit (figures S5, S6, R4)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import everything, trained

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential

DATA = Path(__file__).parent / "data"
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


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


# ---- what comes back


@pytest.mark.parametrize("dtype", [*DTYPES, ">f4", ">i8"])
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


def kinds() -> dict[str, Any]:
    """An array of every dtype in every layout that a file was ever asked to hold."""
    found: dict[str, Any] = {}
    for dtype in [*DTYPES, ">f2", ">f8", ">i4", ">u8"]:
        a = (np.arange(12).reshape(3, 4) % 7).astype(dtype)
        found |= {f"{dtype} 0-d": a[1, 2, ...], f"{dtype} empty": a[:0], f"{dtype} strided": a[::2, ::-3]}
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324], "f8")
    return found | {"special": special, "bits of a NaN": np.array([0x7FF0000000000001], "u8").view("f8")}


def test_the_golden_checkpoint_of_every_dtype_loads() -> None:
    """S6: written once (mg.save(path, model=Arrays(**kinds()))) and never again; later versions read the same bits."""
    into, right = Arrays(), kinds()
    mg.load(DATA / "checkpoint-1-dtypes.safetensors", model=into)
    assert set(into.arrays) == set(right)
    for name, found in into.arrays.items():
        native = right[name].dtype.newbyteorder("=")
        assert (found.dtype, found.shape) == (native, right[name].shape)
        assert found.tobytes() == right[name].astype(native).tobytes(), name


SAVE = """
import sys
import minigrad as mg
mg.random.seed(3)
model = mg.layer("Sequential", *(mg.layer(name, *args) for name, *args in (
    ("Linear", 4, 5), ("BatchNorm1d", 5), ("Dropout", 0.3), ("LayerNorm", 5), ("GroupNorm", 1, 5))))
optimizer = mg.optim.Adam(model.named_parameters(), lr=1e-2)
mg.sum(model(mg.ones((6, 4), dtype="float32")) ** 2).backward()
optimizer.step()
mg.save(sys.argv[1], model=model, optimizer=optimizer, names={"b": 1, "a": [2, (3,)]})
"""


def test_every_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """R4: names and their order, of the state and in the file, whatever the hash seed."""
    for seed in ("0", "1", "2"):
        env = os.environ | {"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", SAVE, str(tmp_path / seed)], env=env, check=True, timeout=60)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


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


# ---- what does not fit


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


def test_what_a_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(mg.errors.DtypeError, match=r"'a' has dtype complex128, which the file cannot hold"):
        mg.save(path, model=Arrays(a=np.ones(2, complex)))
    with pytest.raises(mg.errors.ArgumentError, match="two tensors would be stored as '__metadata__'"):
        mg.save(path, model=Arrays(__metadata__=np.ones(2)))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(mg.errors.ArgumentError, match="nested too deeply, or holds itself"):
        mg.save(path, x=endless)
    assert list(tmp_path.iterdir()) == []


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
    assert list(document) == ["sha256", "format", "model", "optimizer", "optimizer_names", "extra"]
    assert document["model"]["layers"]["3"] == "Dropout"
    assert document["model"]["streams"] == {"3.generator": [3, 1, 3]}
    assert document["extra"] == {"epoch": 1}


def test_a_header_of_any_length_is_read(tmp_path: Path) -> None:
    """One whose length ended in 0x80 was taken for a pickle, which begins with this byte."""
    path, begun = tmp_path / "x.safetensors", set()
    for k in range(0, 2048, 8):
        mg.save(path, note="a" * k)
        begun.add(path.read_bytes()[0])
        assert mg.load(path) == {"note": "a" * k}
    assert begun == set(range(0, 256, 8))
