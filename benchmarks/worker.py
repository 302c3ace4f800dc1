"""One peer in one process: `python -m benchmarks.worker CASE PEER THREADS DEVICE`, JSON lines in and out.

The parent has set the environment (threads of BLAS and OpenMP, its kernels). The process loads its own peer only, so
that its memory and its threads are those of a user's program.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from benchmarks import device
from benchmarks.machine import blas_kernels, peak_mib

LIMIT = 1 << 30
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_memory(peer: str) -> str:
    """Tell the C allocator not to give freed memory back, and say what it answered."""
    if peer == "minigrad":
        import minigrad as mg

        return "kept" if mg.memory.keep() else mg.memory.state()
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return "plain (no mallopt here)"
    done = [any(mallopt(name, size) for size in (LIMIT, LIMIT >> 5)) for name in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD)]
    return "kept" if all(done) else "plain (mallopt refused)"


def default_memory() -> str:
    """The malloc state that a user has who does nothing about it: importing minigrad warms a block up."""
    if "minigrad" not in sys.modules:
        return "plain"
    state: str = import_module("minigrad").memory.state()
    return "warm block" if "warmed up" in state else state


def digest(result: Any) -> float:
    """One number for what a step returned, taken outside the clock: the mean magnitude."""
    import numpy as np

    for way in ("detach", "cpu", "numpy"):  # a tensor of torch's or ours, wherever it lives
        result = getattr(result, way)() if hasattr(result, way) else result
    return float(np.abs(np.asarray(result), dtype=np.float64).mean())


def main(name: str, column: str, threads: int, where: str, held: ExitStack) -> None:
    """Build the step, then answer {"seconds": s} with runs of about s seconds until the input ends.

    {"launches": true} is answered with what a step launches on the device.
    """
    peer, _, kept = column.partition(", ")
    if peer.startswith("torch"):
        torch: Any = import_module("torch")
        torch.set_num_threads(threads)
    memory = keep_memory(peer) if kept else ""
    from benchmarks.cases import CASES

    settle = device.enter(peer, where, held)
    step = CASES[name].builds[peer]()
    for _ in range(3):
        value = digest(step())
    once = run(step, 1, settle)[0]
    once = run(step, max(1, int(0.1 / once)), settle)[0]
    answer({"memory": memory or default_memory(), "blas": blas_kernels(), "digest": value, "once": once})
    for line in sys.stdin:
        asked = json.loads(line)
        if "launches" in asked:
            answer({"launches": device.launches(step)})
            continue
        seconds, busy, elapsed = run(step, max(1, round(asked["seconds"] / once)), settle)
        answer({"seconds": seconds, "busy": busy, "elapsed": elapsed, "peak_mib": peak_mib()})


def run(step: Any, times: int, settle: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds a step, processor seconds of this process, and seconds in all; `settle` waits for the device."""
    busy, start = time.process_time(), time.perf_counter()
    for _ in range(times):
        step()
    settle()
    elapsed = time.perf_counter() - start
    return elapsed / times, time.process_time() - busy, elapsed


def answer(fields: dict[str, object]) -> None:
    """Write one line to the parent."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with ExitStack() as held:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], held)
