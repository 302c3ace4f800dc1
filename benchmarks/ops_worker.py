"""Times every elementwise operation and every reduction of minigrad in one process: `python -m benchmarks.ops_worker`.

Rows come from the registry of primitives and from the signatures of minigrad's functions, so what is new is timed
without being listed; `bare.py` says what each is held against. A line of JSON a row; `ops.py` starts this and makes the
table.
"""

from __future__ import annotations

import argparse
import ctypes
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from benchmarks.bare import ALSO, FOLDS, FREE, Bare, bare_maps, numpy_name

SHAPE = (1024, 1024)
DTYPES = ("float32", "float64")
AXES = (None, 0, -1)
COMPOSED = ("relu", "silu", "gelu", "reciprocal")
"""Elementwise functions of one array that are made of primitives."""
SCANS = ("softmax", "log_softmax", "cumsum", "cumprod")
"""Functions over an axis that keep it, beside the reductions, which are known by their `keepdims`."""
LOGIC = ("any", "all")
LEAST = 2e-3
"""Seconds that a turn lasts; what is quicker is called more than once."""
LONGEST = 0.3
"""Seconds that the forwards of a row may take, and the backwards; slow operations have fewer rounds, at least five."""

Array = Any
Thunk = Callable[[], object]


class Row(NamedTuple):
    """One line of the table: what is timed, on what."""

    name: str
    function: Callable[..., Any]
    bare: Bare
    arrays: list[Array]
    params: dict[str, Any]
    axis: str = ""


def rows() -> Iterator[Row]:
    """Every row, in float64 where a dtype is free."""
    rng, table = np.random.default_rng(0), bare_maps()
    for name, op in mg.check.primitives().items():
        if op.kind == "map" and name not in FREE:
            if callable(op.samples):
                arrays, params = [rng.uniform(-2, 2, SHAPE)], mg.check.sample(op, rng)[1]
            else:
                arrays, params = [*mg.check.sample(op, rng, [SHAPE] * len(op.samples))[0]], {}
            yield Row(name, op.call, table.get(name) or unknown(name, op), arrays, params)
    for name in COMPOSED:
        yield Row(name, getattr(mg, name), table[name], [rng.uniform(-2, 2, SHAPE)], {})
    for name, bare in ALSO.items():
        yield Row(name, getattr(mg, name), bare, [rng.uniform(-2, 2, SHAPE)], {})
    for name in folds():
        function = getattr(mg, name, None) or getattr(mg.linalg, name)
        low, high = (0.99, 1.01) if "prod" in name else (-2.0, 2.0)
        a = rng.uniform(low, high, SHAPE)
        values = a > (high if name == "any" else -high) if name in LOGIC else a  # to the end, without a short cut
        for axis in AXES:
            yield Row(name, function, FOLDS.get(name) or Bare(getattr(np, name)), [values], {"axis": axis}, str(axis))


def unknown(name: str, op: Any) -> Bare:
    """For what the table does not name: NumPy's function of that name, or the forward on plain arrays."""
    own = getattr(np, numpy_name(name), None)
    return Bare(own) if own else Bare(lambda *a, **p: op.forward(np, *a, **p), note="its own forward")


def folds() -> list[str]:
    """The reductions of minigrad, and the scans."""
    found = [
        name
        for home in (mg, mg.linalg)
        for name in home.__all__
        if inspect.isfunction(f := getattr(home, name)) and "keepdims" in inspect.signature(f).parameters
    ]
    return [*dict.fromkeys((*found, *SCANS))]


def calls(row: Row, dtype: str) -> Iterator[dict[str, Thunk]]:
    """What takes turns: the forwards, then the backwards, NumPy's first.

    All read the same memory, or each would find other things in the cache.
    """
    tracked = [
        mg.tensor(a.astype(dtype), requires_grad=True) if a.dtype.kind == "f" else mg.tensor(a) for a in row.arrays
    ]
    plain = [t.detach() for t in tracked]
    arrays, params, function = [writable(t.data) for t in plain], row.params, row.function
    forward, pull = row.bare.forward, row.bare.backward
    assert forward is not None
    yield {
        "numpy": lambda: forward(*arrays, **params),
        "minigrad": lambda: function(*plain, **params),
        "recording": lambda: function(*tracked, **params),
    }
    if pull is not None:
        y = function(*tracked, **params)
        out, g = y.data, np.random.default_rng(1).uniform(0.5, 1, y.shape).astype(y.dtype)
        xs, cotangent = [t for t in tracked if t.requires_grad], mg.tensor(g)
        yield {
            "numpy backward": lambda: pull(g, out, *arrays, **params),
            "backward": lambda: mg.gradients(y, xs, cotangent=cotangent, retain_graph=True, allow_unused=True),
        }


def writable(a: Array) -> Array:
    """The memory of an array as one that may be written, as a user's may: NumPy's argmax copies others."""
    memory = (ctypes.c_char * a.nbytes).from_address(a.ctypes.data)
    return np.frombuffer(memory, a.dtype).reshape(a.shape)


def turn(call: Thunk, times: int) -> float:
    """Seconds of the processor a call: what other programs do meanwhile does not count, but for the caches."""
    if times > 1:
        call()  # what came before has left other things in the cache
    start = time.thread_time()
    for _ in range(times):
        call()
    return (time.thread_time() - start) / times


def measure(found: dict[str, Thunk], rounds: int) -> dict[str, list[float]]:
    """Seconds of every call in every round, in an order that turns from round to round."""
    often = {}
    for name, call in found.items():
        turn(call, 1)
        often[name] = max(1, round(LEAST / turn(call, 1)))
    once = sum(turn(call, often[name]) * often[name] for name, call in found.items())
    seconds: dict[str, list[float]] = {name: [] for name in found}
    order = [*found]
    for _ in range(max(5, min(rounds, round(LONGEST / once)))):
        order.append(order.pop(0))
        for name in order:
            seconds[name].append(turn(found[name], often[name]))
    return seconds


def one_thread() -> None:
    """For PyTorch, where it is installed; BLAS was told by the environment."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


def main() -> None:
    """A line of JSON a row."""
    cli = argparse.ArgumentParser(prog="python -m benchmarks.ops_worker", description="Times operations, row by row.")
    cli.add_argument("--only", action="append", default=[], metavar="NAME", help="an operation; may be repeated")
    cli.add_argument("--rounds", type=int, default=35, help="turns of each call (default 35)")
    options = cli.parse_args()
    one_thread()
    mg.memory.keep()
    for row in rows():
        for dtype in DTYPES[:1] if row.name in LOGIC else DTYPES:
            if options.only and row.name not in options.only:
                continue
            line: dict[str, Any] = {"op": row.name, "dtype": dtype, "axis": row.axis, "note": row.bare.note}
            try:
                with np.errstate(all="ignore"):
                    line["seconds"] = {k: v for c in calls(row, dtype) for k, v in measure(c, options.rounds).items()}
            except ImportError as error:
                line["error"] = str(error)
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
