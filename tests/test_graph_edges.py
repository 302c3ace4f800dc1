"""Seeing, at its edges: primitives of strangers and of packages that are not there, values that are no arrays, names
that clash, what JSON cannot say, a source line where Python's stack has none.
"""

from __future__ import annotations

import _thread
import contextvars
import json
import sys
import threading
import time
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad.errors import GraphError, NonFiniteError
from minigrad.notation import Expr
from minigrad_layers import Linear


class Pair(NamedTuple):
    """A parameter that is a tuple of its own kind."""

    rows: int
    columns: int


@pytest.fixture(scope="session")  # a primitive is declared once
def strange() -> dict[str, Any]:
    """Primitives as a stranger may declare them."""

    def stays(x: Any, **_: Any) -> Any:
        return x.shape, x.dtype

    def turned(x: Any) -> Any:
        return (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype

    options: dict[str, Any] = {"samples": (mg.domains.reals,), "kind": "opaque", "infer": stays}

    @mg.primitive(lambda g, mode: g, name="edges_options", **options)
    def takes_options(xp: Any, x: Any, *, mode: Any = None) -> Any:
        return x

    @mg.primitive(lambda g: g.T, name="edges_turned", **options | {"infer": turned})
    def turns(xp: Any, x: Any) -> Any:
        return x.T

    @mg.primitive(lambda g: g.mT, name="edges_swapped", **options | {"infer": turned})
    def swaps(xp: Any, x: Any) -> Any:
        return xp.swapaxes(x, -1, -2)

    @mg.primitive(lambda g, mode: g * float("inf"), name="edges_infinite", **options)
    def infinite(xp: Any, x: Any, *, mode: Any = None) -> Any:
        return x

    @mg.primitive(
        lambda g, x: g * (len(x) / 0.0 if isinstance(x, Expr) else float("inf")), name="edges_shaped", **options
    )
    def shaped(xp: Any, x: Any) -> Any:
        return x

    return {"options": takes_options, "turned": turns, "swapped": swaps, "infinite": infinite, "shaped": shaped}


VALUES = {
    "ellipsis": ((0, ..., slice(None).start), (0, ..., None)),
    "list": ([1, 2.5, [True]], [1, 2.5, [True]]),
    "named tuple": (Pair(1, 2), (1, 2)),
    "infinity": (float("inf"), float("inf")),
    "dtype": (np.dtype("float32"), np.dtype("float32")),
    "NumPy's number": (np.float32(0.5), np.float32(0.5)),
    "an object": (complex(1, 2), "(1+2j)"),
}


@pytest.mark.parametrize("case", VALUES)
def test_parameters_are_written_down_and_read_back(case: str, strange: dict[str, Any]) -> None:
    given, expected = VALUES[case]
    with mg.trace() as graph:
        strange["options"](mg.tensor([1.0]), mode=given)
    again = mg.Graph.from_json(json.dumps(json.loads(graph.to_json())))
    assert again.node("edges_options_1").params["mode"] == expected


def test_a_program_spells_transposes_numbers_and_parameters(strange: dict[str, Any], backend: str) -> None:
    if backend != "numpy":
        pytest.skip("a program makes tensors on the default backend")
    x = mg.tensor([[1.0, 2.0, 3.0]], requires_grad=True, name="x")
    with mg.trace() as graph:
        y = strange["turned"](x) * np.float64(2.0)
        z = strange["swapped"](strange["options"](y, mode=(np.int64(3), float("inf"), ..., "a")))
        z.sum().backward()
    text = graph.derivation("x").python
    assert "d_x = d_edges_turned_1.T" in text
    assert "# declares edges_" in text or "import" in text
    assert "* 2.0" in graph.derivation("edges_turned_1").python
    assert ".mT" in graph.derivation("edges_options_1").python
    found = graph.derivation(graph.node("edges_options_1").inputs[0] or "").python
    assert "edges_options_1" in found


def test_a_derivation_is_drawn_in_a_notebook_and_needs_a_backward_pass() -> None:
    layer = Linear(2, 1)
    with mg.trace(layer) as graph:
        y = layer(mg.tensor([[1.0, 2.0]], dtype="float32"))
    with pytest.raises(GraphError, match="no backward pass of this trace arrived at 'Linear'"):
        graph.derivation("Linear")
    with mg.trace(layer) as graph:
        y = layer(mg.tensor([[1.0, 2.0]], dtype="float32"))
        y.backward()
    derivation = graph.derivation("Linear")
    assert derivation._repr_latex_() == f"$$\n{derivation.latex}\n$$"


def test_a_trace_without_the_package_that_declared_a_primitive() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
    with mg.trace() as graph:
        y = mg.tanh(x).named("y")
        y.sum().backward()
    later = mg.Graph.from_json(graph.to_json().replace('"tanh"', '"tanh_of_elsewhere"'))
    assert later.expression("y") is None
    assert "digraph" in later.dot(passes="both", show=("formula", "value")).source
    assert "y" in later.derivation("x").text
    with pytest.raises(GraphError, match=r"'tanh_of_elsewhere' is not there; import the package that declares it"):
        later.routes("sum_1", "x")


def test_an_input_without_a_rule_has_no_expression() -> None:
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.trace() as graph:
        mg.keep(x, mg.tensor([True, False]))
    assert graph.expression("keep_1", 0) is not None
    assert graph.expression("keep_1", 1) is None


def test_scopes_and_leaves_whose_names_clash() -> None:
    class Block(mg.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x + 1.0

    class Block_2(Block):  # what the second Block would be called
        pass

    class Names(mg.Module):
        def __init__(self) -> None:
            self.a, self.b = mg.Parameter(mg.ones(1)), mg.Parameter(mg.ones(1))

        def named_parameters(self) -> Any:
            return iter([("same name", self.a), ("same_name", self.b)])

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x * self.a * self.b

    x, names = mg.tensor([1.0]), Names()
    with mg.trace(names) as graph:
        for block in (Block_2(), Block(), Block()):
            x = block(x)
        names(x)
    assert {"Block_2", "Block", "Block_2_"} <= set(graph.scopes)
    assert {"same_name", "same_name_2"} <= {n.name for n in graph.nodes}


def test_the_same_array_is_one_constant(backend: str) -> None:
    array = mg.tensor([1.0, 2.0]).data
    x = mg.tensor([3.0, 4.0])
    with mg.trace() as graph:
        x * array
        x + array
    assert len([n for n in graph.nodes if n.kind == "constant"]) == 1


def test_several_outputs_in_a_drawing() -> None:
    with mg.trace() as graph:
        mg.linalg.eigh(mg.tensor([[2.0, 0.0], [0.0, 1.0]]))
    assert "float64" in graph.dot(depth=9, show=("shape", "dtype", "value")).source


def test_a_mistake_in_a_thread_of_nothing_but_minigrad(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is started on a function of minigrad itself has no caller, so no line of the user."""
    told: list[Any] = []
    done = threading.Event()

    def hook(problem: Any) -> None:
        told.append(problem.exc_value)
        done.set()

    monkeypatch.setattr(sys, "unraisablehook", hook)
    _thread.start_new_thread(mg.matmul, (mg.ones((2, 3)), mg.ones((2, 3))))
    assert done.wait(30)
    assert isinstance(told[0], mg.errors.ShapeError)


def test_a_trace_that_runs_in_a_thread_of_nothing_but_minigrad() -> None:
    x = mg.tensor([1.0, 2.0])
    with mg.trace() as graph:
        context = contextvars.copy_context()
        _thread.start_new_thread(context.run, (mg.tanh, x))
        for _ in range(3000):
            if len(graph) == 2:
                break
            time.sleep(0.01)
    assert graph.node("tanh_1").source is None


# ---- the guard


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_guard_as_a_decorator_guards_each_call() -> None:
    @mg.debug.nan_guard()
    def f(x: float) -> mg.Tensor:
        return mg.log(mg.tensor([x]))

    assert f(1.0).tolist() == [0.0]
    for _ in range(2):
        with pytest.raises(NonFiniteError, match=r"minigrad\.log produced an infinity"):
            f(0.0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_guard_tells_of_masks_and_of_rules_with_parameters(strange: dict[str, Any]) -> None:
    x, flags = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([True, False])
    for call, words in (
        (lambda: flags / 0.0, r"divide produced NaN.*a = bool \(2,\)"),
        (lambda: strange["infinite"](x, mode="m").sum().backward(), r"backward of .*produced an infinity.*: g·inf"),
        (lambda: strange["shaped"](x).sum().backward(), r"produced an infinity.*its rule for input 0"),
    ):
        with pytest.raises(NonFiniteError, match=rf"(?s){words}"), mg.debug.nan_guard():
            call()
    with mg.debug.nan_guard():  # what was given is nobody's fault
        (x * 1.0).backward(mg.tensor([float("inf"), 1.0]))


def test_a_pass_inside_of_a_hook_is_one_of_its_own_and_the_outer_one_goes_on() -> None:
    x = mg.tensor(2.0, requires_grad=True, name="x")

    def hook(g: mg.Tensor) -> None:
        inner = mg.tensor(3.0, requires_grad=True, name="inner")
        mg.gradients(inner * inner, [inner])

    with mg.trace() as graph:
        y = (x * x).named("y")
        y.register_hook(hook)
        (y * 3.0).named("z").backward()
    assert {name: [c.sweep for c in graph.node(name).cotangents] for name in ("z", "y", "x", "inner")} == {
        "z": [1], "y": [1], "x": [1], "inner": [2],
    }  # fmt: skip
    assert [c.began for name in ("z", "y", "x") for c in graph.node(name).cotangents] == [True, False, False]
