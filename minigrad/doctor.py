"""What minigrad stands on in this interpreter: versions, plugins, backends, the drawing engine, and what is missing.

Nothing is installed or changed by looking; plugins are loaded, for only then is it known whether they can be.
"""

from __future__ import annotations

import os
import platform
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import numpy as np

from minigrad import backend
from minigrad.errors import MinigradError, PluginError, PluginWarning
from minigrad.graph.rendering import find_engine
from minigrad.module import layers
from minigrad.registry import plugins_off

__all__ = ["DISTRIBUTION", "NO_LAYERS", "beyond_v2", "blas", "cpu", "examined"]

DISTRIBUTION = "minigrad-engine"  # what pip installs; another project has the bare name in the public registry

NO_LAYERS = (
    "no layers are installed; minigrad-layers brings the standard ones: install both distributions in one command, "
    "in a checkout: pip install -e . -e layers"
)
X86_V2 = frozenset({"X86_V2", "SSE", "SSE2", "SSE3", "SSSE3", "SSE41", "SSE42", "POPCNT", "CX16", "LAHF"})
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def examined() -> Iterator[tuple[str, str, str]]:
    """(what, "ok" or "absent" or "broken", detail), one after the other; absent is what a use can do without."""
    yield "python", "ok", f"{sys.version.split()[0]}, {sys.executable}"
    try:
        yield "minigrad", "ok", f"{version(DISTRIBUTION)}, distribution {DISTRIBUTION}"
    except PackageNotFoundError:
        place = Path(__file__).parent
        yield "minigrad", "broken", f"not installed, but imported from {place}: pip install -e . -e layers"
    yield "numpy", "ok", np.__version__
    yield "cpu", "ok", cpu()
    yield "blas", "ok", blas()
    yield "memory", "ok", backend.memory.state()
    yield from _plugins()
    for name, reason in backend.available().items():
        state = "ok" if not reason else "absent" if name in backend.BUILT_IN else "broken"
        yield f"backend {name}", state, reason or _placed(name)
    try:
        yield "dot", "ok", find_engine().path
    except MinigradError as problem:
        yield "dot", "absent", str(problem)
    packages = {"graphviz": "", "safetensors": "", "scikit-learn": "train", "rich": "train", "matplotlib": "train"}
    for name, use in packages.items():
        try:
            yield name, "ok", version(name)
        except PackageNotFoundError:
            more = f" (extra `{use}`)" if use else ""
            yield name, "absent" if use else "broken", f"not installed: pip install {name}{more}"


def cpu_features() -> tuple[str, ...]:
    """The extensions of this CPU that NumPy has loops for, beyond what it takes for granted, in its own words."""
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    return tuple(found)


def beyond_v2() -> tuple[str, ...]:
    """Those of `cpu_features` that x86-64-v2 does not have; empty on other processors. Named in the variable
    NPY_DISABLE_CPU_FEATURES they make NumPy compute as on an old machine.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ()
    return tuple(name for name in cpu_features() if name not in X86_V2)


def cpu() -> str:
    """What NumPy takes of the processor: the last digits of exp, sin and their kin depend on it."""
    named = " ".join(cpu_features()) or "nothing beyond its baseline"
    off = os.environ.get("NPY_DISABLE_CPU_FEATURES")
    return f"{platform.machine()}, NumPy uses {named}{f'; off: {off}' if off else ''}"


def blas() -> str:
    """The library behind matrix products, and how many threads it takes, as far as that can be known."""
    built = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    named = f"{built.get('name', 'unknown')} {built.get('version', '')}".rstrip()
    asked = [f"{word}={os.environ[word]}" for word in THREADS if word in os.environ]
    if asked == [f"{THREADS[0]}=1"]:
        return f"{named}, {asked[0]}"
    threads = ", ".join(asked) or f"a thread for each of {os.cpu_count()} processors"
    return f"{named}, {threads}; another number may round otherwise: for the same bits, {THREADS[0]}=1"


def _plugins() -> Iterator[tuple[str, str, str]]:
    """The layers that are installed, by distribution, and a row for every plugin that does not load."""
    if plugins_off():
        yield "layers", "absent", "MINIGRAD_PLUGINS=off keeps plugins from being loaded, minigrad-layers too; unset it"
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            counts = Counter(info.origin for info in layers().values())
            trouble = "" if counts else NO_LAYERS
        except PluginError as problem:
            counts, trouble = Counter(), str(problem)
    known = {row.name: row.version for row in distributions()}
    listed = (f"{count} of {name} {known.get(name, '')}".rstrip() for name, count in sorted(counts.items()))
    yield "layers", "broken" if trouble else "ok", trouble or ", ".join(listed)
    for warning in told:
        state = "broken" if issubclass(warning.category, PluginWarning) else "ok"
        yield "plugin", state, " ".join(str(warning.message).split())  # a stranger's message may have many lines


def _placed(name: str) -> str:
    """The device that a backend works on, and the version of its library."""
    found = backend.get_backend(name)
    library = getattr(found.xp, "__version__", "")
    return f"{found.parse_device(name)}{f', {found.xp.__name__} {library}' if library else ''}"
