"""Constant leaks: an array that was computed from tracked data outside of the graph and re-enters it.

A mean that was detached, a variance that went through NumPy, a scale under `no_grad`: the value is right and the
gradient silently wrong. It is found by value. The function runs twice, on independent inputs of another scale and
offset and with other parameters; every constant that enters an operation in the graph is noted with the line where it
does. What is a constant of the program is the same both times; what changed came from the data. Declared and passed
over are `stop_gradient(x, why=…)`, random draws, buffers, integers and booleans, and operations that have no derivative
(a comparison, argmax).
"""

from __future__ import annotations

import dis
import linecache
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import BACKENDS, backend_of
from minigrad.check.report import CheckError, Report
from minigrad.check.trial import Trial, as_now
from minigrad.core import BOXES, MODES, Tensor, change, tensor
from minigrad.core.modes import Watcher
from minigrad.module import Buffer, Parameter, stand_in
from minigrad.transforms.structures import leaves, mapped

RANDOM = "random_bits"


class Entry(NamedTuple):
    """A constant that entered an operation: what kind of thing it was, its value, and where."""

    op: str
    what: str
    value: Any
    line: str  # where it entered
    made: tuple[str, ...]  # where it was computed, as far as that is known


class _Sources(Watcher):
    """Notes every constant that enters an operation which is in the graph."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ops: list[str] = []
        self._alive: list[Any] = []  # so that ids stay what they are
        self._made: dict[int, tuple[bool, list[Entry]]] = {}  # untracked results: their constants, and whether declared
        self._lines: dict[int, str] = {}  # by id of an array that an operation gave: where

    def forward(self, op: Any, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
        """One primitive ran."""
        self.ops.append(op.name)
        outs = out if isinstance(out, tuple) else (out,)
        line = layer_line()
        self._alive.extend((args, out))
        for t in outs:
            self._lines.setdefault(id(t._data), line)
        tracked_in = any(type(a) in BOXES and a._node is not None for a in args)
        tracked_out = any(t._node is not None for t in outs)
        found: list[Entry] = []
        for a in args:
            found += self._origins(op.name, a, line)
        found += [Entry(op.name, f"the argument {k}", v, line, ()) for k, v in params.items() if isinstance(v, float)]
        if tracked_out:
            self.entries += found
            return
        declared = op.name in (RANDOM, "stop_gradient") or not op.differentiable
        if tracked_in and not declared and not MODES.get().recording:
            found = [Entry(op.name, f"{op.name} under no_grad", outs[0]._data, line, (line,))]
        for t in outs:
            self._made[id(t)] = (declared, [] if declared else found)

    def _origins(self, op: str, a: Any, line: str) -> list[Entry]:
        """The constants that an argument is made of; none if it is in the graph or declared."""
        if type(a) in BOXES:
            if a._node is not None or isinstance(a, (Buffer, Parameter)):
                return []
            if id(a) in self._made:
                return self._made[id(a)][1]
            data, what = a._data, "an untracked tensor"
        elif type(a) in BACKENDS and not isinstance(a, np.generic):
            data, what = a, "a bare array"
        elif isinstance(a, (float, np.floating)):
            return [Entry(op, "a number", float(a), line, ())]
        else:
            return []
        if getattr(data, "dtype", None) is None or data.dtype.kind != "f":
            return []
        return [Entry(op, what, data, line, assigned(a) or self._computed(data))]

    def _computed(self, data: Any) -> tuple[str, ...]:
        """Where an operation gave this array, or one of the same values before they left minigrad."""
        if id(data) in self._lines:
            return (self._lines[id(data)],)
        wanted = host(data)
        for held in reversed(self._alive):
            for t in held if isinstance(held, tuple) else (held,):
                known = type(t) in BOXES and wanted.size and t.shape == wanted.shape and id(t._data) in self._lines
                if known and np.array_equal(host(t._data), wanted):
                    return (self._lines[id(t._data)],)
        return ()


def leaks(trial: Trial) -> int:
    """Look for constant leaks in a layer; the number of constants that were looked at.

    Raises:
        CheckError: a leak; the message names the lines.
    """
    inputs, params = list(leaves(trial.given)), trial.learnt()
    other = list(leaves(trial.sample.values(trial.rng)))
    fresh = [p.numpy() * 1.3 + trial.rng.standard_normal(p.shape) for p in params.values()]
    runs = []
    for arrays, weights in ((inputs, [p.numpy() for p in params.values()]), (list(map(_moved, other, inputs)), fresh)):
        watcher, following = _Sources(), iter(arrays)

        def made(a: Any, where: str, following: Any = following) -> Tensor:
            value = next(following)
            return tensor(value, requires_grad=value.dtype.kind == "f")

        given = mapped(trial.given, made)
        tracked = {name: tensor(w, requires_grad=True) for name, w in zip(params, weights, strict=True)}
        mode = change(watchers=(*MODES.get().watchers, watcher))
        with as_now(trial.layer), stand_in(trial.layer, tracked), mode:
            trial.call(trial.layer, given)
        runs.append(watcher)
    return _compared(type(trial.layer).__name__, *runs)


def _moved(other: Any, first: Any) -> Any:
    """Independent values of another scale and offset, where a plain shape leaves that open; nothing may stay."""
    return other * 1.7 + 0.3 if first.dtype.kind == "f" and (first < 0).any() and (np.abs(first) > 1).any() else other


def _compared(name: str, one: _Sources, two: _Sources) -> int:
    if one.ops != two.ops:
        k = next((k for k, (a, b) in enumerate(zip(one.ops, two.ops, strict=False)) if a != b), 0)
        raise CheckError(
            f"{name} runs other operations on other values (number {k + 1} is {one.ops[k : k + 1]}, then "
            f"{two.ops[k : k + 1]}): do not branch on a value, use mg.where",
            Report("constant leaks", k, float("inf"), 0.0),
        )
    told: list[str] = []
    for a, b in zip(one.entries, two.entries, strict=False):
        if np.array_equal(host(a.value), host(b.value), equal_nan=True):
            continue
        where = ", ".join(map(_quoted, a.made))
        value = f"what was computed at {where}" if where else "a value that was computed from the input"
        text = f"{value} enters {a.op} as {a.what} at {_quoted(a.line)}"
        if text not in told:
            told.append(text)
    if told:
        raise CheckError(
            f"{name}: a constant leak: "
            + "; and ".join(told)
            + "; no gradient flows through that. Compute with minigrad's "
            "functions on tensors; if it is meant, write mg.stop_gradient(x, why=…)",
            Report("constant leaks", len(one.entries), float("inf"), 0.0),
        )
    return len(one.entries)


def host(value: Any) -> Any:
    """A number or array as NumPy's."""
    return backend_of(value).to_host(value) if type(value) in BACKENDS else np.asarray(value)


def _quoted(line: str) -> str:
    file, _, number = line.rpartition(":")
    text = linecache.getline(file, int(number)).strip() if number.isdigit() else ""
    return f"{line} `{text}`" if text else line


def layer_line() -> str:
    """`file:line` of the nearest caller outside of minigrad itself: a line of the layer."""
    for frame in _frames():
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return ""


def assigned(value: Any) -> tuple[str, ...]:
    """`file:line` where the layer gave this very object to a variable that has it now, after those where variables of
    the same function were given bare arrays: what left the graph earlier, and led to it.
    """
    for frame in _frames():
        local = frame.f_locals
        names = [name for name, held in local.items() if held is value]
        if names:
            bare = [name for name, held in local.items() if held is not value and _is_bare(held)]
            lines = {_stored(frame, name) for name in ([*bare, *names] if _is_bare(value) else names)} - {0}
            return tuple(f"{frame.f_code.co_filename}:{line}" for line in sorted(lines))
    return ()


def _is_bare(value: Any) -> bool:
    return type(value) in BACKENDS and value.dtype.kind == "f"


def _stored(frame: FrameType, name: str) -> int:
    """The line at which a variable was last stored before where the frame is; 0 for a function's argument."""
    lines = [
        step.positions.lineno
        for step in dis.get_instructions(frame.f_code)
        if step.opname.startswith("STORE_") and step.argval == name and step.offset < frame.f_lasti
        if step.positions is not None and step.positions.lineno is not None
    ]
    return lines[-1] if lines else 0


def _frames() -> Iterator[FrameType]:
    """The callers from the layer's own line outwards, up to where minigrad called the layer."""
    here: FrameType | None = sys._getframe(1)
    inside = False
    while here is not None:
        ours = here.f_globals.get("__name__", "").partition(".")[0] in ("minigrad", "contextlib")
        if not ours:
            inside = True
            yield here
        elif inside:
            return
        here = here.f_back
