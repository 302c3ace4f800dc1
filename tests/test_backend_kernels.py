"""The CUDA text does what it says, and `CupyBackend` launches it rightly: run on the CPU, without GPU or CuPy.

The kernels hold nothing that a C++ compiler does not know but a dozen words, which are defined away here: a grid of one
thread, whose strided loops then do all the work. The array type is the stand-in's.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minigrad.backend import backend_of, fakecupy, kernels
from minigrad.backend import cupy as cupy_backend
from minigrad.backend.cupy import CupyBackend
from minigrad.errors import BackendUnavailable, BoundsError, DeviceError, UnknownArrayError

COMPILER = shutil.which("g++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")

WORDS = """
#define __global__
#define __device__
#define __forceinline__ inline
#define __umul64hi(a, b) (unsigned long long)((unsigned __int128)(a) * (b) >> 64)
static struct { unsigned long long x; } blockIdx = {0}, threadIdx = {0}, blockDim = {1}, gridDim = {1};
static unsigned long long atomicCAS(unsigned long long *at, unsigned long long expected, unsigned long long value) {
    unsigned long long old = *at;
    if (old == expected) *at = value;
    return old;
}
"""


class Module:
    """Stands for `cupy.RawModule`."""

    library: ctypes.CDLL

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        assert code == kernels.CUDA
        assert options == ("--std=c++14",)

    def get_function(self, name: str) -> Any:
        assert name in kernels.NAMES

        def launch(grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
            assert grid[0] > 0
            assert block[0] <= 1024
            getattr(self.library, name)(*map(self.passed, args))

        return launch

    @staticmethod
    def passed(x: Any) -> Any:
        if isinstance(x, fakecupy.FakeArray):
            assert x._a.flags.c_contiguous
            return ctypes.c_void_p(x._a.ctypes.data)
        assert type(x) in (np.int64, np.uint64)  # a Python int would be passed as 4 bytes
        return ctypes.c_ulonglong(int(x) % (1 << 64))


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> CupyBackend:
    folder: Path = tmp_path_factory.mktemp("kernels")
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    source.write_text(WORDS + kernels.CUDA)
    flags = ["-std=c++14", "-O1", "-shared", "-fPIC", "-w", "-fsanitize=undefined", "-fno-sanitize-recover"]
    subprocess.run([COMPILER, *flags, str(source), "-o", str(library)], check=True, timeout=120)
    Module.library = ctypes.CDLL(str(library))
    cuda = SimpleNamespace(
        Device=fakecupy._Device,
        runtime=SimpleNamespace(getDevice=lambda: 0, getDeviceCount=lambda: 1),
        get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
    )
    extra = {"ndarray": fakecupy.FakeArray, "RawModule": Module, "cuda": cuda}
    cupy = fakecupy._Namespace("cupy", np, fakecupy.cupynames.MODULE, extra)
    return CupyBackend(cupy)


def test_philox(backend: CupyBackend) -> None:
    rng = np.random.default_rng(1)
    for t in range(300):
        counter = rng.integers(0, 1 << 64, 4, np.uint64)
        counter[: t % 5] = (1 << 64) - 1  # carries into none, some or all of the words
        key, n = rng.integers(0, 1 << 64, 2, np.uint64), int(rng.integers(1, 40))
        k, c = (sum(int(w) << 64 * i for i, w in enumerate(a)) for a in (key, counter))
        expected = np.random.Philox(key=k, counter=c).random_raw(n)
        for where in (lambda a: a.tolist(), backend.asarray):
            y = backend.random_bits(where(key), where(counter), (n,), 64)
            assert np.array_equal(backend.to_host(y), expected)
    assert backend.random_bits((1, 2), (0, 0, 0, 0), (0, 3), 16).shape == (0, 3)


def test_check_index(backend: CupyBackend) -> None:
    index = np.array([[0, 4, -1], [-5, 2, 3]], np.int32)
    safe = backend.check_index(backend.asarray(index), (5,))
    assert np.array_equal(backend.to_host(safe), index % 5)
    safe = backend.check_index(backend.asarray(np.array([1, 5, -6, 4])), (5,), "take")
    with pytest.raises(BoundsError, match="take: index 5 is out of bounds for axis 0 with size 5"):
        backend.to_host(safe)
    assert np.array_equal(backend.to_host(safe), [1, 0, 0, 4])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, np.complex64])
@pytest.mark.parametrize("deterministic", [False, True], ids=["atomics", "sorted"])
def test_scatter_add(backend: CupyBackend, dtype: type, deterministic: bool) -> None:
    rng = np.random.default_rng(2)
    shape = (6, 3, 2)
    for index in (
        rng.integers(-6, 6, 50),
        (rng.integers(-6, 6, 50), rng.integers(-3, 3, 50)),
        (slice(None), np.array([0, 0, 2])),
    ):
        values = rng.integers(0, 4, np.zeros(shape)[index].shape).astype(dtype)
        expected = np.zeros(shape, dtype)
        np.add.at(expected, index, values)
        parts = index if isinstance(index, tuple) else (index,)
        placed = tuple(backend.asarray(p) if isinstance(p, np.ndarray) else p for p in parts)
        backend.deterministic = deterministic
        y = backend.scatter_add(shape, dtype, placed, backend.asarray(values))
        backend.deterministic = False
        assert y.dtype == dtype
        assert np.array_equal(backend.to_host(y), expected)


def test_sorted_segments_add_in_one_order(backend: CupyBackend) -> None:
    """Magnitudes that a change of order would show, even in float64."""
    rng = np.random.default_rng(3)
    index = rng.integers(0, 7, 4000)
    values = rng.standard_normal((4000, 5)) * 10.0 ** rng.integers(-12, 12, (4000, 1))
    expected = np.zeros((7, 5))
    for place, row in zip(index, values, strict=True):
        expected[place] += row
    backend.deterministic = True
    y = backend.scatter_add((7, 5), np.float64, backend.asarray(index), backend.asarray(values))
    backend.deterministic = False
    assert np.array_equal(backend.to_host(y), expected)


def test_loading(backend: CupyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy is asked for a device before anything is made; its absence is in test_errors.py."""
    cupy = backend.xp
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(cupy.cuda, "is_available", lambda: False, raising=False)
    monkeypatch.setattr(cupy, "__version__", "14.0", raising=False)
    with pytest.raises(BackendUnavailable, match=r'CuPy 14\.0 finds no CUDA device: .*nvidia-smi; use device="numpy"'):
        cupy_backend.load()
    monkeypatch.setattr(cupy.cuda, "is_available", lambda: True)
    loaded = cupy_backend.load()
    assert (type(loaded), loaded.xp) == (CupyBackend, cupy)


def test_an_array_that_is_older_than_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who made it with CuPy itself never named the device, so nothing is in the table yet."""
    ndarray = type("ndarray", (), {"__module__": "cupy"})
    loaded = SimpleNamespace(array_type=ndarray)
    monkeypatch.setattr("minigrad.backend.get_backend", lambda name: {"cupy": loaded}[name])
    assert backend_of(ndarray()) is loaded
    stranger = type("ndarray", (), {"__module__": "cupy"})
    with pytest.raises(UnknownArrayError, match=r"cupy\.ndarray is no array of a known backend"):
        backend_of(stranger())


def test_waiting_copying_and_the_current_device(backend: CupyBackend) -> None:
    x = backend.asarray([1.0, 2.0])
    assert backend.freeze(x) is x  # CuPy has no read-only flag
    assert np.array_equal(backend.to_host(backend.copy(x)), [1.0, 2.0])
    before = backend.transfers.waits
    backend.synchronize()
    assert repr(backend.transfers).endswith(f"waits={before + 1})")
    with backend.current("cupy:0"):
        assert backend.parse_device("cupy") == "cupy:0"


def test_a_mask_must_have_the_shape_of_its_axes(backend: CupyBackend) -> None:
    mask = backend.asarray(np.array([True, False]))
    with pytest.raises(BoundsError, match=r"getitem: a mask of shape \(2,\) covers axes of sizes \(3,\)"):
        backend.check_index(mask, (3, 2))


def test_devices(backend: CupyBackend) -> None:
    assert backend.parse_device("cupy") == "cupy:0" == backend.device_of(backend.asarray([1.0], device="cupy:0"))
    for device in ("cupy:1", "cupy:-1", "cupy:x", "cuda:0"):
        with pytest.raises(DeviceError, match="cupy:0 to cupy:0"):
            backend.parse_device(device)
