"""What runs and what the literature writes are one function: every composite with a textbook.

The layers' own are a promise of the kit's (tests/test_layer_checks.py). Values, gradients to the third order, state and
random draws in float64 (`mg.check.forms`), and that a trace, remat and the check itself see the form that is in force.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, LayerNorm

RNG = np.random.default_rng(7)
LABELS = np.array([2, 0, 1, 2])


def _reals(*shape: int) -> Any:
    return RNG.standard_normal(shape)


def _shares(*shape: int) -> Any:
    return RNG.uniform(0.1, 0.9, shape)


IMAGE, KERNEL = _reals(2, 2, 5, 4), _reals(4, 2, 3, 2)
# Of each composite that has a textbook: calls of the public function, as (arguments, keywords).
CALLS: dict[str, tuple[Callable[..., Any], list[tuple[tuple[Any, ...], dict[str, Any]]]]] = {
    "mean": (mg.mean, [((_reals(3, 4),), {}), ((_reals(3, 4),), {"axis": 0, "keepdims": True})]),
    "var": (mg.var, [((_reals(3, 4),), {}), ((_reals(3, 4),), {"axis": 1, "correction": 1})]),
    "std": (mg.std, [((_reals(3, 4),), {"axis": 0, "keepdims": True}), ((_reals(5),), {"correction": 1})]),
    "softmax": (mg.softmax, [((_reals(3, 4),), {}), ((_reals(2, 3, 2),), {"axis": (0, 1)})]),
    "log_softmax": (mg.log_softmax, [((_reals(3, 4),), {}), ((_reals(3, 4),), {"axis": 0})]),
    "logsumexp": (mg.logsumexp, [((_reals(3, 4),), {}), ((_reals(3, 4),), {"axis": 1, "keepdims": True})]),
    "cross_entropy": (mg.losses.cross_entropy, [
        ((_reals(4, 3), LABELS), {}),
        ((_reals(3), np.array(1)), {"label_smoothing": 0.1}),
        ((_reals(4, 3), LABELS), {"ignore_index": 2, "reduction": "sum"}),
        ((_reals(4, 3), np.array([2, -100, 1, 0])), {"weight": np.array([0.5, 1.0, 2.0]), "label_smoothing": 0.2}),
        ((_reals(4, 3), np.array([2, -100, 1, 0])), {}),
        ((_reals(2, 3, 2), LABELS.reshape(2, 2)), {"reduction": "none"}),
        ((_reals(4, 3), _shares(4, 3)), {}),
    ]),
    "nll": (mg.losses.nll, [((_reals(4, 3), LABELS), {}), ((_reals(4, 3), LABELS), {"weight": np.arange(3.0)})]),
    "binary_cross_entropy": (mg.losses.binary_cross_entropy, [((_shares(4), _shares(4)), {})]),
    "binary_cross_entropy_with_logits": (
        mg.losses.binary_cross_entropy_with_logits, [((_reals(4), _shares(4)), {"reduction": "sum"})],
    ),
    "conv1d": (mg.conv1d, [((_reals(2, 3, 6), _reals(2, 3, 3), _reals(2)), {"padding": 1, "stride": 2})]),
    "conv2d": (mg.conv2d, [
        ((IMAGE, KERNEL), {}),
        ((IMAGE, _reals(4, 1, 3, 2), _reals(4)), {"groups": 2, "padding": (1, 0), "dilation": (1, 2)}),
    ]),
    "conv3d": (mg.conv3d, [((_reals(1, 2, 3, 3, 3), _reals(2, 1, 2, 2, 2)), {"groups": 2})]),
    "max_pool1d": (mg.max_pool1d, [((_reals(2, 2, 6), 2), {})]),
    "max_pool2d": (mg.max_pool2d, [
        ((_reals(1, 2, 4, 4), 2), {}),
        ((_reals(1, 2, 5, 4), 3), {"stride": 2, "padding": 1}),
    ]),
    "max_pool3d": (mg.max_pool3d, [((_reals(1, 1, 2, 4, 4), 2), {})]),
    "avg_pool1d": (mg.avg_pool1d, [((_reals(2, 2, 6), 2), {})]),
    "avg_pool2d": (mg.avg_pool2d, [
        ((_reals(1, 2, 4, 4), 2), {}),
        ((_reals(1, 2, 5, 4), 3), {"stride": 2, "padding": 1, "count_include_pad": False}),
    ]),
    "avg_pool3d": (mg.avg_pool3d, [((_reals(1, 1, 2, 4, 4), 2), {})]),
}  # fmt: skip
WITH_TEXTBOOK = {name for name, call in mg.check.composites().items() if call.composition.textbook}  # type: ignore[attr-defined]
# Those of layers are compared with their layers, by the kit.
BY_LAYERS = {name for name, call in mg.check.composites().items() if not call.__module__.startswith("minigrad.")}
CASES = [(name, f, args, kwargs) for name, (f, calls) in CALLS.items() for args, kwargs in calls]


def test_every_composite_with_a_textbook_is_in_the_table() -> None:
    assert set(CALLS) == WITH_TEXTBOOK - BY_LAYERS


@pytest.mark.parametrize(("name", "f", "args", "kwargs"), CASES, ids=[f"{c[0]}{k}" for k, c in enumerate(CASES)])
def test_composites(name: str, f: Callable[..., Any], args: Any, kwargs: Any) -> None:
    floats = [k for k, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    def call(*xs: mg.Tensor) -> mg.Tensor:
        given = [mg.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        for k, x in zip(floats, xs, strict=True):
            given[k] = x
        return f(*given, **kwargs)  # type: ignore[no-any-return]

    mg.check.forms(call, *(args[k] for k in floats))


@pytest.mark.parametrize("name", CALLS)
def test_the_forms_are_arranged_otherwise(name: str) -> None:
    f, ((args, kwargs), *_) = CALLS[name]
    made = []
    for form in ("run", "textbook"):
        with mg.trace(form=form) as graph:  # type: ignore[arg-type]
            f(*(mg.tensor(a) if isinstance(a, np.ndarray) else a for a in args), **kwargs)
        made.append([(n.op, n.inputs) for n in graph.nodes if n.kind == "op"])
    assert made[0] != made[1]


def test_forms_sees_another_value_gradient_state_and_draw() -> None:
    class Wrong(mg.Module):
        def __init__(self, fault: str) -> None:
            self.fault, self.count, self.generator = fault, mg.Buffer(mg.tensor(0.0)), mg.random.new_stream()

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            self.count.assign(self.count + 1)
            mg.random.uniform((), generator=self.generator)
            return x * x

        def textbook(self, x: mg.Tensor) -> mg.Tensor:
            if self.fault != "the buffer count":
                self.count.assign(self.count + 1)
            if self.fault != "the place of the stream generator":
                mg.random.uniform((), generator=self.generator)
            if self.fault == "the gradient of order 1":
                return x * x.detach()
            if self.fault == "the gradient of order 2":
                return x * x + (x - x.detach()) ** 2
            return x * x * (1.001 if self.fault == "the value" else 1.0)

    mg.check.forms(Wrong(""), [1.5, 2.0])
    for fault in (
        "the value", "the gradient of order 1", "the gradient of order 2", "the buffer count",
        "the place of the stream generator",
    ):  # fmt: skip
        with pytest.raises(mg.check.CheckError, match=fault):
            mg.check.forms(Wrong(fault), [1.5, 2.0])
        with pytest.raises(mg.check.CheckError, match="textbook"):
            mg.check.layer(Wrong(fault), samples=[mg.Sample(inputs=((4,),))])
    with pytest.raises(mg.errors.ArgumentError, match="order: -1"):
        mg.check.forms(Wrong(""), [1.0], order=-1)


def test_a_trace_records_the_form_that_is_asked_for() -> None:
    x = mg.tensor(RNG.standard_normal((4, 3)))
    made = []
    for form in ("run", "textbook"):
        layer = BatchNorm1d(3, dtype="float64")
        with mg.trace(layer, form=form) as graph:  # type: ignore[arg-type]
            layer(x)
        made.append({n.called for n in graph.nodes})
    assert "x_hat" not in made[0]
    assert {"mean", "var", "x_hat"} <= made[1]
    with pytest.raises(mg.errors.ArgumentError, match="form: 'book' must be"):
        mg.trace(form="book")  # type: ignore[arg-type]
    with mg.trace(form="textbook"), mg.trace() as inner:  # a trace says what form runs in it
        BatchNorm1d(3, dtype="float64")(x)
    assert "x_hat" not in {n.called for n in inner.nodes}


@pytest.mark.parametrize(("name", "features", "shape", "most"), [
    ("BatchNorm1d", 3, (5, 3), 12), ("BatchNorm2d", 2, (3, 2, 2, 2), 14), ("LayerNorm", 3, (5, 3), 14),
])  # fmt: skip
def test_l4_batch_norm_opened_has_the_steps_of_the_paper(
    name: str, features: int, shape: tuple[int, ...], most: int
) -> None:
    layer = mg.layer(name, features)
    with mg.trace(layer, form="textbook") as graph:
        layer(mg.tensor(RNG.standard_normal(shape), dtype="float32", requires_grad=True)).sum().backward()
    inside = [n for n in graph.nodes if n.kind == "op" and n.scope and "running_statistics" not in n.scope]
    assert len(inside) <= most, [n.op for n in inside]
    assert {"mean", "var", "x_hat"} <= {n.label for n in inside}


def test_remat_runs_again_in_the_form_of_the_first_run() -> None:
    for layer in (BatchNorm1d(3, dtype="float64"), Dropout(0.4)):
        x = mg.tensor(RNG.standard_normal((5, 3)), requires_grad=True)
        with mg.trace(form="textbook"):
            y = mg.remat(lambda x, layer=layer: mg.tanh(layer(x)))(x).sum()
        y.backward()  # outside: the form is that of the run that is repeated
        assert x.grad is not None


def test_a_module_runs_its_textbook_and_one_without_it_its_forward() -> None:
    class Both(mg.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x * 2

        def textbook(self, x: mg.Tensor) -> mg.Tensor:
            return x + x

    x = mg.tensor(3.0)
    with mg.trace(form="textbook"):
        assert "add" in repr(Both()(mg.tensor(3.0, requires_grad=True)))
        assert LayerNorm(3)(mg.ones((2, 3))).shape == (2, 3)
    assert Both()(x).item() == Both().textbook(x).item() == 6.0


def test_a_composite_with_a_notation_is_shown_by_it_and_computes_its_body() -> None:
    @mg.composite(show=mg.notation.fn("twice"))
    def doubled(x: Any) -> Any:
        return x + x

    formula = doubled(mg.notation.symbol("a", (2,)))
    assert str(formula * 3) == "twice(a)·3"
    assert formula.shape == (2,)
    assert np.array_equal(formula.evaluate({"a": np.array([1.0, 2.0])}), [2.0, 4.0])
    for bad in ({"show": "twice"}, {"textbook": 3}):
        with pytest.raises(mg.errors.DeclarationError, match=next(iter(bad))):
            mg.composite(**bad)(len)  # type: ignore[call-overload]
    with pytest.raises(mg.errors.DeclarationError, match="f=3"):
        mg.composite(3)  # type: ignore[call-overload]
