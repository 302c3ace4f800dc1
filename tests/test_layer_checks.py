"""L1: every registered layer passes the conformance kit from its declaration alone; the kit finds what it looks for.

Nothing here names a layer of ours. The second half is layers that break one promise each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tables import with_rule

import minigrad as mg
import minigrad_layers

TABLE = [(name, sample) for name in minigrad_layers.__all__ for sample in mg.Sample.of(getattr(minigrad_layers, name))]
IDS = [f"{name}({sample})" for name, sample in TABLE]


def test_every_layer_says_how_to_try_it() -> None:
    listed = {name for name, info in mg.layers().items() if info.origin == "minigrad-layers"}
    assert listed == {name for name, _ in TABLE}


@pytest.mark.parametrize(("name", "sample"), TABLE, ids=IDS)
def test_l1_every_layer_passes_the_kit(name: str, sample: mg.Sample, backend: str) -> None:
    report = mg.check.layer(name, samples=[sample], backends=("fakecupy", backend))
    assert not report.failed
    assert {f.check for f in report.findings} >= {"values", "gradients", "dtypes", "state", "program", "drawing"}


class Base(mg.Module):
    """x times a weight, and nothing wrong with it."""

    samples: Any = (mg.Sample(inputs=((4, 3),)),)

    def __init__(self) -> None:
        self.weight = mg.Parameter(mg.ones(3))

    def forward(self, x: mg.Tensor) -> Any:
        return x * self.weight


class Counts(Base):
    def __init__(self) -> None:
        super().__init__()
        self.count = mg.Buffer(mg.tensor(0.0))

    def forward(self, x: mg.Tensor) -> Any:
        self.count.assign(self.count + 1)
        return super().forward(x)


class Draws(Base):
    def __init__(self) -> None:
        super().__init__()
        self.generator = mg.random.new_stream()

    def forward(self, x: mg.Tensor) -> Any:
        mask, _ = mg.random.mask(x.shape, 0.5, like=x, generator=self.generator)
        return mg.keep(super().forward(x), mask)


class Hidden(Base):
    """What it computes by is no parameter and no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = np.random.default_rng().uniform(1, 2)

    def forward(self, x: mg.Tensor) -> Any:
        return super().forward(x) * self.factor


class Remembers(Base):
    def forward(self, x: mg.Tensor) -> Any:
        self.calls = getattr(self, "calls", 0) + 1
        return super().forward(x) * (1.0 + 1e-3 * self.calls)


class Alternates(Base):
    def forward(self, x: mg.Tensor) -> Any:
        self.odd = not getattr(self, "odd", False)
        return x * self.weight if self.odd else self.weight * x


def layer(**methods: Any) -> Callable[[], type[mg.Module]]:
    return lambda: type("Odd", (Base,), {"__doc__": "One promise broken.", **methods})


FAULTS: dict[str, tuple[Callable[[], type[mg.Module]], str, str]] = {
    "NaN": (layer(forward=lambda self, x: mg.log(x)), "values", "NaN or infinite"),
    "random from elsewhere": (
        layer(forward=lambda self, x: x * self.weight + mg.random.normal(x.shape, dtype=x.dtype)),
        "values",
        "mg.random.new_stream()",
    ),
    "NumPy's result": (layer(forward=lambda self, x: np.sum(x.numpy())), "values", "not a Tensor"),
    "detached": (layer(forward=lambda self, x: x.detach() * self.weight), "constants", "constant leak"),
    "float64 inside": (layer(forward=lambda self, x: x * self.weight * mg.ones(1)), "dtypes", "convert it back"),
    "float16 overflows": (
        layer(forward=lambda self, x: x * (self.weight * 60000.0) / 60000.0),
        "dtypes",
        "float32 at least",
    ),
    "moves in evaluation": (lambda: Counts, "evaluation", "a call moved count"),
    "draws in evaluation": (lambda: Draws, "evaluation", "self.training"),
    "state that is none": (lambda: Hidden, "state", "mg.Parameter"),
    "counts its calls": (lambda: Remembers, "values", "another result for the same input"),
    "a batch of one": (
        layer(forward=lambda self, x: x * self.weight / np.float64(x.shape[0] - 1)), "batches", "raise ShapeError"),
    "host arrays": (
        layer(forward=lambda self, x: x * self.weight * mg.tensor(np.ones(3), device="numpy", dtype=x.dtype)),
        "backends", "DeviceError"),
    "a value that is looked at": (
        layer(forward=lambda self, x: x * self.weight if x.numpy()[0, 0] < 100 else x), "program", "never at values"),
    "the order in memory": (
        layer(forward=lambda self, x: x * self.weight if x.data.flags["C_CONTIGUOUS"] else x), "layouts", "memory"),
    "another run in the backward pass": (lambda: Alternates, "remat", "remat"),
    "an address in a drawing": (
        layer(forward=lambda self, x: (x * self.weight).named(repr(object()))), "drawing", "address of an object"),
    "another textbook": (layer(textbook=lambda self, x: x * self.weight * 2.0), "textbook", "textbook form"),
    "a textbook that is right in value only": (
        layer(textbook=lambda self, x: mg.stop_gradient(x, why="a fault") * self.weight), "textbook", "gradient"),
    "its own repr": (layer(__repr__=lambda self: "me"), "repr", "extra_repr"),
    "an address": (layer(extra_repr=lambda self: f"{object()}"), "repr", "address"),
    "constructor": (layer(__init__=lambda self, n: None), "sample", "'n' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_promise_is_named(fault: str, backend: str) -> None:
    make, check, says = FAULTS[fault]
    if fault == "the order in memory" and backend != "numpy":
        pytest.skip("NumPy's flags tell it")
    with pytest.raises(mg.check.CheckError) as caught:
        mg.check.layer(make(), order=2)
    failed = caught.value.report.failed
    assert check in {f.check for f in failed}, caught.value
    told = "\n".join(f.detail for f in failed if f.check == check)
    assert says in told, told


class Bent(Base):
    """tanh, times a weight."""

    def forward(self, x: mg.Tensor) -> Any:
        return mg.tanh(x) * self.weight


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda g, y: 2.0 * g * (1.0 - y * y), r"order 1: the derivative of .* by central differences"),
        (lambda g, y: g * (1.0 - y * mg.stop_gradient(y, why="a fault")), r"order 2: the derivative of"),
    ],
    ids=["first order", "second order"],
)
def test_a_wrong_rule_is_found_at_its_order(rule: Any, says: str) -> None:
    with (
        with_rule(mg.check.primitives()["tanh"], 0, rule),
        pytest.raises(mg.check.CheckError, match=says) as caught,
    ):
        mg.check.layer(Bent, order=2)
    assert {f.check for f in caught.value.report.failed} == {"gradients"}


def test_a_module_that_is_there_is_checked_with_its_own_parameters() -> None:
    """A copy of it runs: it stays as it is."""
    model = minigrad_layers.Sequential(minigrad_layers.Linear(3, 4), minigrad_layers.BatchNorm1d(4))
    before = model.state_dict()
    report = mg.check.layer(model, samples=[mg.Sample(inputs=((5, 3),))], order=1)
    told = str(report).splitlines()
    assert told[:2] == [
        f"Sequential: {len(report.findings)} of {len(report.findings)} checks hold",
        "  Sequential(of (5, 3))",
    ]
    assert told[2].split() == "ok values train, eval float64 (5, 4)".split()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_wrong_call_is_told_the_right_one() -> None:
    class Bare(mg.Module):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x

    with pytest.raises(mg.errors.ArgumentError, match=r"Bare declares no samples.*mg\.Sample"):
        mg.check.layer(Bare)
    with pytest.raises(mg.errors.ArgumentTypeError, match=r"is no layer; give a Module"):
        mg.check.layer(int)  # type: ignore[arg-type]
    with pytest.raises(mg.errors.UnknownLayerError, match="Linear"):
        mg.check.layer("Linaer")
