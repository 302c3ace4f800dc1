"""Q1: every expression of every rule runs in the tables. Lines are too coarse for rules, which are lambdas of one line.

A rule is what was handed to `@primitive`, with what is written inside it and the file's own helpers that it calls; its
expressions are the places in the source that its bytecode names.
"""

from __future__ import annotations

import dis
import linecache
import sys
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np
import pytest
from mutants import parts
from tables import OPS, TRACKED, beside_numbers, points, run

import minigrad as mg

Place = tuple[str, int, int, int, int]


def helpers(rule: FunctionType) -> set[FunctionType]:
    """A rule and the private functions of its own file that it is made of, however many steps away."""
    found, new = {rule}, [rule]
    while new:
        f = new.pop()
        named = [f.__globals__.get(n) for code in parts(f.__code__) for n in code.co_names if n.startswith("_")]
        enclosed = [cell.cell_contents for cell in f.__closure__ or ()]
        for g in map(unwrapped, (*named, *enclosed)):
            if isinstance(g, FunctionType) and g.__module__ == f.__module__ and g not in found:
                found.add(g)
                new.append(g)
    return found


def unwrapped(g: Any) -> Any:
    """A helper without what says how its formula is written (`notation.written_as`)."""
    return g.__wrapped__ if hasattr(g, "short") else g


def place(code: CodeType, offset: int) -> Place | None:
    """Where in the source an instruction stands; None for one that stands for no text."""
    line, end_line, column, end_column = list(code.co_positions())[offset // 2]
    if line is None or end_line is None or column is None or end_column is None or column == end_column:
        return None
    return code.co_filename, line, end_line, column, end_column


def expressions(codes: set[CodeType]) -> set[Place]:
    found = set()
    for code in codes:
        instructions = list(dis.get_instructions(code))
        first = next(k for k, i in enumerate(instructions) if i.opname == "RESUME")  # what comes before makes the frame
        found |= {place(code, i.offset) for i in instructions[first + 1 :]}
    return found - {None}  # type: ignore[return-value]


def reached(codes: set[CodeType], work: Callable[[], None]) -> set[Place]:
    """The places in `codes` that ran while `work` did."""
    ran: set[tuple[CodeType, int]] = set()

    def inside(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode":
            ran.add((frame.f_code, frame.f_lasti))
        return inside

    def outside(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code not in codes:
            return None
        frame.f_trace_opcodes = True
        return inside

    before = sys.gettrace()  # coverage's, when it measures
    sys.settrace(outside)
    try:
        work()
    finally:
        sys.settrace(before)
    return {place(code, offset) for code, offset in ran} - {None}  # type: ignore[return-value]


def in_every_form(op: Any) -> None:
    """On arrays at many points, on tensors, on a Python number in each place, and on symbols for a drawing."""
    for args, params in points(op, 30, seed=2):
        run(op, args, params)
    for args, params in points(op, 3, seed=3):
        tensors = [mg.tensor(a, requires_grad=a.dtype.kind == "f") for a in args]
        with mg.trace() as graph:
            out = op.call(*tensors, **params)
        for y in out if isinstance(out, tuple) else (out,):
            if y.requires_grad:
                xs = [t for t in tensors if t.requires_grad]
                mg.gradients(y, xs, cotangent=mg.ones(y.shape), create_graph=True, allow_unused=True)
        node = next(n for n in graph.nodes if n.op == op.name)
        for k in range(len(tensors)):
            graph.rule(node.name, k)
    if op.kind == "map" and len(op.pulls) == 2 and all(op.pulls) and not op.defaults:
        for number in (-2.0, 0.0, 1.0, 2.0):
            for k in range(2):
                x = mg.tensor([0.5, 1.5], requires_grad=True)
                mg.sum(op.call(*((x, number), (number, x))[k])).backward()
    for f, at in beside_numbers(op):
        mg.sum(f(mg.tensor(at, requires_grad=True))).backward()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, about the logarithm of a negative base
@pytest.mark.parametrize("name", TRACKED)
def test_every_expression_of_every_rule_runs(name: str) -> None:
    op = OPS[name]
    codes = {c for pull in op.pulls if pull for f in helpers(pull.rule) for c in parts(f.__code__)}
    idle = expressions(codes) - reached(codes, lambda: in_every_form(op))
    assert [shown(where) for where in sorted(idle)] == [], "give the op samples that reach it, or delete it"


def shown(where: Place) -> str:
    file, line, end_line, column, end_column = where
    return f"{file}:{line}: {linecache.getline(file, line)[column : end_column if end_line == line else None].strip()}"


def test_an_expression_that_did_not_run_is_found() -> None:
    rule = lambda g, x: g * (x if x.ndim else [k + 1 for k in (1, 2)])
    codes = set(parts(rule.__code__))
    idle = expressions(codes) - reached(codes, lambda: rule(2.0, np.ones(3)))
    assert {"k", "1", "k + 1", "(1, 2)"} <= {shown(where).rpartition(": ")[2] for where in idle}
    assert expressions(codes) <= reached(codes, lambda: (rule(2.0, np.ones(3)), rule(2, np.float64(1))))
