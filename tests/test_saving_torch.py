"""PyTorch's safetensors in and out, by its parameter names (figure S6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, BatchNorm2d, Conv2d, Flatten, GroupNorm, LayerNorm, Linear, ReLU, Sequential

torch = pytest.importorskip("torch")
files = pytest.importorskip("safetensors.torch")


def pair() -> tuple[Sequential, Any]:
    """The same network twice, with different weights."""
    n = torch.nn
    ours = Sequential(
        Conv2d(2, 4, 3, padding=1), BatchNorm2d(4), ReLU(), GroupNorm(2, 4), Flatten(), Linear(64, 5, bias=False),
        BatchNorm1d(5), LayerNorm(5),
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = n.Sequential(
        n.Conv2d(2, 4, 3, padding=1), n.BatchNorm2d(4), n.ReLU(), n.GroupNorm(2, 4), n.Flatten(),
        n.Linear(64, 5, bias=False), n.BatchNorm1d(5), n.LayerNorm(5),
    )  # fmt: skip
    for _ in range(3):  # running statistics of their own
        theirs(torch.randn(6, 2, 4, 4))
    return ours, theirs


def same(ours: Sequential, theirs: Any) -> None:
    x = np.random.default_rng(1).standard_normal((6, 2, 4, 4)).astype("f4")
    y = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    assert np.abs(ours.eval()(mg.tensor(x)).numpy() - y).max() <= 1e-5


def test_a_file_of_pytorchs_fills_our_layers(tmp_path: Path) -> None:
    ours, theirs = pair()
    files.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours.load_state_dict(mg.load_tensors(tmp_path / "theirs.safetensors"))
    same(ours, theirs)
    assert ours.state_dict()["1.num_batches_tracked"] == 3
    with pytest.raises(mg.errors.CheckpointError, match="load_tensors"):  # no seal
        mg.load(tmp_path / "theirs.safetensors", model=ours)


def test_our_file_fills_pytorchs_layers(tmp_path: Path) -> None:
    ours, theirs = pair()
    mg.save(tmp_path / "ours.safetensors", model=ours, optimizer=None, epoch=3)
    theirs.load_state_dict(files.load_file(tmp_path / "ours.safetensors"), strict=True)
    same(ours, theirs)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_model_in_half_precision_fills_ours(dtype: str, tmp_path: Path) -> None:
    """bfloat16, which NumPy lacks, comes as float32, which holds it exactly; layers cast to what they are."""
    ours, theirs = pair()
    theirs = theirs.to(getattr(torch, dtype))
    files.save_file(theirs.state_dict(), tmp_path / "x")
    found = mg.load_tensors(tmp_path / "x")
    assert found["0.weight"].dtype == ("float16" if dtype == "float16" else "float32")
    ours.load_state_dict(found)
    same(ours, theirs.float())
    ours.astype("float16").load_state_dict(found)
    exact = theirs.state_dict()["5.weight"].numpy()
    assert np.array_equal(ours.state_dict()["5.weight"], exact.astype("float16"))


def test_beside_an_optimiser_the_models_tensors_have_no_slash(tmp_path: Path) -> None:
    ours, theirs = pair()
    optimizer = mg.optim.Adam(ours.parameters())
    mg.sum(ours(mg.ones((3, 2, 4, 4)))).backward()
    optimizer.step()
    mg.save(tmp_path / "x", model=ours, optimizer=optimizer)
    found = {name: tensor for name, tensor in files.load_file(tmp_path / "x").items() if "/" not in name}
    theirs.load_state_dict(found, strict=True)
    same(ours, theirs)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_a_dtype_that_numpy_lacks_is_named(dtype: str, tmp_path: Path) -> None:
    files.save_file({"a.weight": torch.zeros(3).to(getattr(torch, dtype))}, tmp_path / "x")
    told = r"tensor 'a.weight' has dtype F8_E\dM\d, which NumPy lacks; convert it where it was written"
    with pytest.raises(mg.errors.CheckpointError, match=told):
        mg.load_tensors(tmp_path / "x")


DTYPES = "bfloat16 float16 float32 float64 int8 uint8 int16 int32 int64 bool"


@pytest.mark.parametrize("dtype", DTYPES.split())
def test_every_dtype_of_pytorchs_arrives(dtype: str, tmp_path: Path) -> None:
    kind = getattr(torch, dtype)
    tensors = {
        "a": (torch.arange(12).reshape(3, 4) % 5).to(kind),
        "b": torch.tensor(1).to(kind),
        "c": torch.zeros(0, 2),
    }
    files.save_file(tensors, tmp_path / "x")
    found = mg.load_tensors(tmp_path / "x")
    for name, tensor in tensors.items():
        wide = tensor.float() if tensor.dtype is torch.bfloat16 else tensor  # NumPy has no bfloat16
        assert found[name].dtype == wide.numpy().dtype
        assert np.array_equal(found[name], wide.numpy())
        assert found[name].shape == tuple(tensor.shape)
