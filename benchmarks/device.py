"""Where a worker's arrays live: each peer put on a device by its own means, waited for, its kernels counted.

Both libraries launch kernels and go on, so a turn ends with a wait. Kernels and copies are counted by torch's profiler,
which hears from CUDA of everything that the process launches, CuPy's kernels included.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from benchmarks.case import Step

COUNTED = 5
"""Steps over which kernels are counted."""


def enter(peer: str, device: str, held: ExitStack) -> Callable[[], object]:
    """Make the peer's new arrays live on `device` until `held` closes, and return what waits for the device.

    "cupy" means a GPU: torch's "cuda", without which its column says so. The stand-in leaves torch where it is.
    """
    if peer.startswith("minigrad"):
        import minigrad as mg

        held.enter_context(mg.use_device(device))
        return mg.backend.get_backend(device).synchronize
    if not device.startswith("cupy"):
        return lambda: None
    if not peer.startswith("torch"):
        raise RuntimeError(f"{peer} has no GPU")
    torch: Any = import_module("torch")
    if not torch.cuda.is_available():
        raise RuntimeError(f"torch {torch.__version__} finds no GPU")
    torch.set_default_device(device.replace("cupy", "cuda"))
    return torch.cuda.synchronize  # type: ignore[no-any-return]


def launches(step: Step) -> dict[str, float] | None:
    """Kernels, copies and memory fills that one step launches, by torch's profiler; None where there is none."""
    try:
        torch: Any = import_module("torch")
        if not torch.cuda.is_available():
            return None
        profiler = torch.profiler
    except ImportError:
        return None
    step()
    torch.cuda.synchronize()
    with profiler.profile(activities=[profiler.ProfilerActivity.CUDA]) as found:
        for _ in range(COUNTED):
            step()
        torch.cuda.synchronize()
    counts = {"kernels": 0.0, "to_host": 0.0, "to_device": 0.0, "other": 0.0}
    for event in found.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            counts[sort_of(event.name)] += 1 / COUNTED
    return counts


def sort_of(name: str) -> str:
    """What CUDA's name of an activity stands for.

    >>> sort_of("Memcpy DtoH (Device -> Pageable)"), sort_of("cupy_add__float32_float32_float32")
    ('to_host', 'kernels')
    """
    if not name.startswith(("Memcpy", "Memset")):
        return "kernels"
    return "to_host" if "DtoH" in name else "to_device" if "HtoD" in name else "other"
