"""The backend of CuPy 14: arrays on an NVIDIA GPU.

CuPy is imported when this module's `load` is called, by the first use of a device "cupy...", and never before.
CuPy arrays have no read-only flag, so `freeze` cannot hold anyone to it; the stand-in `fakecupy` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.backend.base import Array
from minigrad.backend.cupylike import CupyLike, only_device
from minigrad.backend.kernels import CUDA, THREADS
from minigrad.errors import BackendUnavailable

_MOST_BLOCKS = 1 << 16


class CupyBackend(CupyLike):
    """CuPy arrays; devices are "cupy:0", "cupy:1", ..., and "cupy" is the current one."""

    name = "cupy"

    def __init__(self, cupy: Any) -> None:
        super().__init__(cupy)
        self._module = cupy.RawModule(code=CUDA, options=("--std=c++14",))

    def parse_device(self, device: str) -> str:
        runtime = self.xp.cuda.runtime
        if device == "cupy":
            return f"cupy:{runtime.getDevice()}"
        return f"cupy:{only_device('cupy', device, runtime.getDeviceCount())}"

    def device_of(self, a: Array) -> str:
        return f"cupy:{a.device.id}"

    def current(self, device: str) -> Any:
        return self.xp.cuda.Device(int(device.partition(":")[2]))

    def freeze(self, a: Array) -> Array:
        return a

    def _place(self, data: Array, dtype: Any, device: str) -> Array:
        with self.xp.cuda.Device(int(device.partition(":")[2])):
            return self.xp.array(data, dtype=dtype)

    def _fetch(self, a: Array) -> Array:
        self.transfers.to_host += 1
        return np.array(a.get())

    def _wait(self) -> None:
        self.transfers.waits += 1
        self.xp.cuda.get_current_stream().synchronize()

    def _launch(self, name: str, n: int, *args: Any) -> None:
        if n:
            blocks = min(-(-n // THREADS), _MOST_BLOCKS)
            self._module.get_function(name)((blocks,), (THREADS,), args)

    def _philox(self, key: Any, counter: Any, blocks: int) -> Array:
        out = self.xp.empty(4 * blocks, np.uint64)
        if isinstance(key, tuple):
            self._launch("philox_words", blocks, *map(np.uint64, (*key, *counter, blocks)), out)
        else:
            self._launch("philox_words_at", blocks, key, counter, np.uint64(blocks), out)
        return out

    def _check(self, index: Array, size: int, op: int, axis: int, fault: Array) -> Array:
        with index.device:
            safe = self.xp.empty_like(index)
            numbers = map(np.int64, (index.size, size, op, axis))
            self._launch("check_index", index.size, index, *numbers, safe, fault)
        return safe

    def _segment_sum(self, values: Array, order: Array, place: Array, width: int, out: Array) -> None:
        name = {"f": "segment_sum_f32", "d": "segment_sum_f64"}[out.dtype.char]
        with out.device:
            n = place.size
            self._launch(name, n * width, values, order, place, np.int64(n), np.int64(width), out)


def load() -> CupyBackend:
    """Import CuPy and look for a device.

    Raises BackendUnavailable when either is missing, and says what to do about it.
    """
    remedy = 'use device="numpy", or "fakecupy" to check code without a GPU'
    try:
        import cupy
    except ImportError as problem:
        raise BackendUnavailable(
            f"CuPy is not installed ({problem}): pip install cupy-cuda13x (or cupy-cuda12x); {remedy}"
        ) from problem
    if not cupy.cuda.is_available():
        raise BackendUnavailable(f"CuPy {cupy.__version__} finds no CUDA device: look at nvidia-smi; {remedy}")
    return CupyBackend(cupy)
