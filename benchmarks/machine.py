"""What a figure depends on beside the program: processor, versions, BLAS kernels, memory, what else is running."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("minigrad-engine", "minigrad-layers", "numpy", "torch", "autograd")
GPU_PACKAGES = ("cupy-cuda13x", "cupy-cuda12x", "nvidia-cublas", "nvidia-cuda-nvrtc")


def cpu_name() -> str:
    """The processor as the system names it, with family and model where the name says little."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.+)$", text, re.MULTILINE))
    name = found.get("model name", platform.machine())
    return f"{name} (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else name


def gpu_name() -> str:
    """The GPU and its driver, as `nvidia-smi` names them."""
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as problem:
        return f"unknown ({problem})"


def describe(device: str = "numpy") -> dict[str, str]:
    """The machine and the versions, for the header of the table and for the JSON file."""
    facts = {
        "cpu": f"{cpu_name()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}".rstrip(", "),
        "python": platform.python_version(),
    }
    if device != "numpy":
        facts["device"] = device
    if device.startswith("cupy"):
        facts["gpu"] = gpu_name()
    for package in (*PACKAGES, *GPU_PACKAGES) if device.startswith("cupy") else PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def blas_kernels() -> str:
    """The kernels that NumPy's OpenBLAS chose in this process, asked of the library that is loaded."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return "unknown"
    for path in sorted(set(re.findall(r"(/\S*openblas\S*)", maps))):
        library = ctypes.CDLL(path)
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
            function = getattr(library, name, None)
            if function is not None:
                function.restype = ctypes.c_char_p
                return f"OpenBLAS {function().decode()}"
    return "not OpenBLAS"


def peak_mib() -> float | None:
    """The most memory that this process has had resident, in MiB."""
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) / 1024 if found else None


def busy_seconds() -> float | None:
    """Processor seconds that all processes of the machine have used, stolen time included; None where unknown."""
    try:
        fields = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, softirq, stolen = map(int, fields)
    return (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
