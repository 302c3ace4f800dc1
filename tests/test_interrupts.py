"""An exception at any moment: a signal's handler raises wherever the interpreter looks for signals.

CPython looks after a call has returned, as a function begins and as a loop goes round. Each of these places, in every
function of minigrad that a scenario runs through, is raised at in turn, by a trace function instead of a signal: what
happens is the same, and happens every time.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.core import MODES
from minigrad_layers import BatchNorm1d, Linear, Sequential

LOOKS = {"RESUME", "JUMP_BACKWARD", "CALL", "CALL_FUNCTION_EX", "CALL_KW"}


class Interrupt(BaseException):
    """What the handler raises."""


def _places(code: CodeType) -> frozenset[int]:
    """Offsets of the instructions before which the interpreter may have run a signal's handler."""
    found, before = set(), ""
    for instruction in dis.get_instructions(code):
        if before in LOOKS:
            found.add(instruction.offset)
        if instruction.opname != "CACHE":
            before = instruction.opname
    return frozenset(found)


Place = tuple[CodeType, int, int]  # function, offset, and which time


class Raiser:
    """Runs something and notes these places, in files of which the name contains one of `within`; raises at `at`."""

    def __init__(self, within: tuple[str, ...], at: Place | None = None) -> None:
        self.within, self.at, self.raised = within, at, False
        self.counts: dict[tuple[CodeType, int], int] = {}
        self._known: dict[CodeType, frozenset[int]] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if not any(part in frame.f_code.co_filename for part in self.within):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._inside

    def _inside(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode" and not self.raised:
            code, offset = frame.f_code, frame.f_lasti
            if code not in self._known:
                self._known[code] = _places(code)
            if offset in self._known[code]:
                n = self.counts[code, offset] = self.counts.get((code, offset), -1) + 1
                if (code, offset, n) == self.at:
                    self.raised = True
                    raise Interrupt
        return self._inside

    def run(self, f: Callable[[], Any]) -> None:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            f()
        except Interrupt:
            pass
        finally:
            sys.settrace(before)

    def places(self) -> list[Place]:
        """Of each place that was met, the first time and the last."""
        return sorted(
            {(code, offset, n) for (code, offset), last in self.counts.items() for n in (0, last)},
            key=lambda p: (p[0].co_qualname, p[1:]),
        )


X: mg.Tensor
LAYER: Linear
W: mg.Tensor


@pytest.fixture(autouse=True)
def _where_tensors_live(_house: None) -> None:
    global X, LAYER, W
    X = mg.tensor(np.random.default_rng(0).standard_normal((6, 3)))
    LAYER, W = Linear(3, 2).astype("float64"), mg.tensor(np.ones((2, 3)), requires_grad=True)


def _no_grad() -> None:
    with mg.no_grad():
        mg.exp(X)


@mg.no_grad()
def _decorated() -> None:
    mg.exp(X)


def _nested() -> None:
    with mg.no_grad(), mg.use_device("numpy"), mg.no_grad():
        mg.exp(X)


def _stand_in() -> None:
    with mg.stand_in(LAYER, {"weight": W}):
        LAYER(X)


def _traced() -> None:
    with mg.trace():
        mg.exp(X)


def _jvp() -> None:
    with mg.no_grad():
        mg.jvp(lambda x: x * x, [X], [X])


def _remat() -> None:
    mg.grad(mg.remat(lambda x: (x * x).sum()))(X)


CORE = ("core/modes", "core/state", "module/standing", "contextlib")
SCENARIOS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "no_grad": (_no_grad, CORE),
    "a decorated function": (_decorated, CORE),
    "blocks inside each other": (_nested, CORE),
    "stand_in": (_stand_in, CORE),
    "trace": (_traced, (*CORE, "graph/recorder", "core/dispatch")),
    "a transform": (_jvp, (*CORE, "transforms/", "core/sweep", "core/dispatch")),
    "remat": (_remat, (*CORE, "transforms/recompute", "core/sweep", "core/dispatch")),
}


def _all_places(f: Callable[[], Any], within: tuple[str, ...]) -> list[Place]:
    f()  # what is set up once is set up
    look = Raiser(within)
    look.run(f)
    return look.places()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_mode_outlives_an_interrupt(scenario: str, nightly: bool) -> None:
    f, within = SCENARIOS[scenario]
    places = _all_places(f, within)
    places = places if nightly or len(places) < 150 else places[::7]
    modes, real, survived, raised = MODES.get(), LAYER.weight.tolist(), [], 0
    for place in places:
        raiser = Raiser(within, place)
        raiser.run(f)
        if MODES.get() is not modes:
            survived.append(place)
            MODES.set(modes)
        raised += raiser.raised
        assert LAYER.weight.tolist() == real
    assert raised > len(places) / 2 > 2  # what an earlier interrupt left undone may spare a later run a line
    assert survived == []


def test_a_block_takes_along_what_is_left_inside_of_it() -> None:
    before = MODES.get()
    with mg.no_grad():
        abandoned = mg.use_device("numpy")
        abandoned.__enter__()
    assert MODES.get() is before


def test_an_interrupt_of_remat_leaves_statistics_as_they_are(nightly: bool) -> None:
    model = Sequential(Linear(3, 4), BatchNorm1d(4)).astype("float64")
    run = mg.remat(model)
    within = ("transforms/recompute", "core/state", "core/modes")
    places = _all_places(lambda: run(X).sum().backward(), within)
    for place in places if nightly else places[::7]:
        y = run(X)
        after = {k: v.tolist() for k, v in model.state_dict().items()}
        Raiser(within, place).run(lambda y=y: y.sum().backward())  # type: ignore[misc]
        assert {k: v.tolist() for k, v in model.state_dict().items()} == after
        assert MODES.get().standing == {}
        assert MODES.get().recording
    assert len(places) > 20
