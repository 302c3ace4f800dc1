"""The backends, and the table from an array's type to the backend it belongs to.

The table is filled when a backend is first asked for: NumPy at import, CuPy and its stand-in `fakecupy` by name, a
third party's through the entry-point group `minigrad.backends`, which is read only for a name that is not ours
(`MINIGRAD_PLUGINS=off` leaves it unread). Importing this package imports NumPy and nothing else.
"""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any

from minigrad.backend import memory
from minigrad.backend.base import Array, Backend, Transfers
from minigrad.backend.numpy import NumpyBackend
from minigrad.elsewhere import DEVICES
from minigrad.errors import (
    ArgumentTypeError,
    BackendUnavailable,
    DeviceError,
    MinigradError,
    PluginError,
    UnknownArrayError,
)
from minigrad.registry import plugins_off

__all__ = [
    "BACKENDS",
    "Array",
    "Backend",
    "Transfers",
    "available",
    "backend_of",
    "get_backend",
    "memory",
    "parse_device",
    "register_backend",
    "transfer",
]

GROUP = "minigrad.backends"
BUILT_IN = ("numpy", "cupy", "fakecupy")

BACKENDS: dict[type, Backend] = {}
"""From the type of an array to its backend. Read it with `backend_of`; write it with `register_backend`."""

_by_name: dict[str, Backend] = {}
_entering = threading.RLock()  # two threads that ask first for a backend get the same one


def register_backend(backend: Backend) -> Backend:
    """Enter a backend under its name and the types of its arrays; PluginError if the name or a type is taken.

    >>> register_backend(get_backend("numpy"))
    <minigrad backend 'numpy'>
    """
    if _by_name.get(backend.name, backend) is not backend:
        raise PluginError(f"two backends are named {backend.name!r}: {_by_name[backend.name]!r} and {type(backend)!r}")
    for kind in (backend.array_type, *backend.scalar_types):
        if BACKENDS.get(kind, backend) is not backend:
            raise PluginError(
                f"{kind!r} belongs to backend {BACKENDS[kind].name!r}; {backend.name!r} cannot have it too"
            )
    BACKENDS.update(dict.fromkeys((backend.array_type, *backend.scalar_types), backend))
    _by_name[backend.name] = backend  # last, since other threads look here without waiting
    return backend


def backend_of(array: object) -> Backend:
    """The backend of a raw array, by one look-up on its type.

    Raises UnknownArrayError (a TypeError) for anything else, a subclass of an array type included.

    >>> import numpy as np
    >>> backend_of(np.ones(3))
    <minigrad backend 'numpy'>
    """
    try:
        return BACKENDS[type(array)]
    except KeyError:
        return _late(array)


def get_backend(name: str) -> Backend:
    """The backend of a name or a device ("cupy" and "cupy:1" give the same), imported when first asked for.

    Raises BackendUnavailable when its library or its device is missing, DeviceError for a name that no backend has.

    >>> get_backend("numpy").name
    'numpy'
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f'device={name!r} must be a name: "numpy", "cupy", "cupy:1"')
    name = name.partition(":")[0]
    found = _by_name.get(name)
    if found is not None:
        return found
    with _entering:
        if name in _by_name:
            return _by_name[name]
        if name in BUILT_IN:
            return register_backend(import_module(f"minigrad.backend.{name}").load())
        return register_backend(_from_plugin(name))


def parse_device(device: str) -> str:
    """The full name of a device: "cupy" becomes "cupy:0", "numpy" stays.

    >>> parse_device("numpy")
    'numpy'
    """
    return get_backend(device).parse_device(device)


def transfer(a: Array, device: str) -> Array:
    """`a` on `device`: itself if it is there already, else a fresh copy of the same dtype.

    >>> import numpy as np
    >>> x = np.ones(3)
    >>> transfer(x, "numpy") is x
    True
    """
    source, target = backend_of(a), get_backend(device)
    if source is target and source.device_of(a) == target.parse_device(device):
        return a
    return target.asarray(a if source is target or source.name == "numpy" else source.to_host(a), device=device)


def available() -> dict[str, str]:
    """Every backend that is known by name, with "" where it can be used and otherwise the reason why not.

    >>> available()["numpy"]
    ''
    """
    report = {}
    for name in (*BUILT_IN, *sorted({point.name for point in _entry_points()} - set(BUILT_IN))):
        try:
            get_backend(name)
            report[name] = ""
        except MinigradError as problem:
            report[name] = str(problem)
    return report


def _late(array: object) -> Backend:
    """The slow path of `backend_of`: a CuPy array that was made before anybody named CuPy, or an error that teaches."""
    kind = type(array)
    if kind.__module__.partition(".")[0] == "cupy" and kind.__name__ == "ndarray":
        backend = get_backend("cupy")
        if kind is backend.array_type:
            return backend
    if hasattr(kind, "__primitive__"):  # an array without values (minigrad.program) was asked for one
        array.refuse()  # type: ignore[attr-defined]
    raise UnknownArrayError(
        f"an object of type {kind.__module__}.{kind.__qualname__} is no array of a known backend "
        f"({', '.join(_by_name)}); make a tensor of it with mg.tensor(...)"
    )


def _entry_points() -> Any:
    if plugins_off():
        return ()
    from importlib.metadata import entry_points  # costs 20 ms, and most programs never get here

    return entry_points(group=GROUP)


def _from_plugin(name: str) -> Backend:
    points = [point for point in _entry_points() if point.name == name]
    if not points:
        meant = f"; what others call {name!r} is {DEVICES[name]!r} here" if name in DEVICES else ""
        raise DeviceError(f"device {name!r}: no backend has this name; there are {', '.join(available())}{meant}")
    if len(points) > 1:
        places = " and ".join(map(_placed, points))
        raise PluginError(f"two plugins offer a backend named {name!r}: {places}; uninstall one of them")
    where = _placed(points[0])
    try:
        loaded = points[0].load()
        backend = loaded if isinstance(loaded, Backend) else loaded()
    except BackendUnavailable:
        raise  # the plugin's own words
    except (Exception, SystemExit) as problem:  # a stranger's module may raise anything
        told = f"{type(problem).__name__}: {problem}"
        raise BackendUnavailable(f"backend {name!r} of the plugin {where} cannot be loaded: {told}") from problem
    if not isinstance(backend, Backend) or backend.name != name:
        raise PluginError(f"backend {name!r} of the plugin {where} gave {backend!r}, no Backend named {name!r}")
    return backend


def _placed(point: Any) -> str:
    return f"{point.value} ({point.dist.name})" if point.dist is not None else str(point.value)


register_backend(NumpyBackend())
