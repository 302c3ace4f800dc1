"""A declaration that contradicts itself is refused when it is made, and the message says which part."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tables import with_rule

import minigrad as mg
from minigrad.backend import get_backend, register_backend


def unary(xp: Any, x: Any) -> Any:
    return x


def reserved(xp: Any, g: Any) -> Any:
    return g


def summed(xp: Any, x: Any) -> Any:
    return xp.sum(x)


def tanh(xp: Any, x: Any) -> Any:
    return xp.tanh(x)


@pytest.mark.parametrize(
    ("forward", "rules", "options", "words"),
    [
        (reserved, (lambda g: g,), {}, r"'reserved': \['g'\] are names of the contract"),
        (unary, (lambda g: g, lambda g: g), {}, r"inputs \('x',\) but 2 rules; give one each"),
        (summed, (lambda g: g,), {"kind": "reduce"}, "'summed': a reduce needs the keyword parameter `axes`"),
        (unary, (lambda g: g,), {"kind": "view"}, "kind='view' needs infer="),
        (unary, (lambda g: g,), {"kind": "opaque"}, "kind='opaque' needs infer="),
        (tanh, (lambda g: g,), {}, "'tanh' is declared twice"),
        (unary, (lambda x: x,), {}, r"takes the cotangent `g` first, this one takes \['x'\]"),
        (unary, (lambda g, z: g,), {}, r"a rule asks for 'z'; it may ask for \['y', 'x', 'like'\]"),
        (unary, (lambda g, i: g,), {}, "a rule asks for 'i'"),
    ],
)
def test_a_primitive_that_contradicts_itself(forward: Any, rules: Any, options: Any, words: str) -> None:
    before = dict(mg.check.primitives())
    with pytest.raises(mg.errors.DeclarationError, match=words):
        mg.primitive(*rules, **options)(forward)
    assert dict(mg.check.primitives()) == before


def test_a_primitive_says_its_name() -> None:
    assert repr(mg.check.primitives()["tanh"]) == "<primitive 'tanh'>"


def test_two_backends_cannot_have_one_name_or_one_array_type() -> None:
    Numpy: Any = type(get_backend("numpy"))

    class Second(Numpy):
        """Of another name, for the same arrays."""

        name = "second"

    register_backend(get_backend("numpy"))  # the same one again is no clash
    with pytest.raises(mg.errors.PluginError, match="two backends are named 'numpy'"):
        register_backend(Numpy())
    with pytest.raises(mg.errors.PluginError, match="belongs to backend 'numpy'; 'second' cannot have it too"):
        register_backend(Second())
    with pytest.raises(mg.errors.DeviceError, match="second"):
        get_backend("second")


def test_a_layer_may_be_registered_with_brackets() -> None:
    assert mg.register_layer() is mg.register_layer


def test_an_optimiser_is_refused_a_group_without_parameters() -> None:
    optimizer = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)])
    for group in ([mg.tensor([1.0])], {"lr": 1.0}):
        with pytest.raises(mg.errors.ArgumentError, match=r"group: .* must be a dict with 'params'"):
            optimizer.add_param_group(group)


# ---- the checks themselves


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mg.check.sample(mg.mean, np.random.default_rng(0)), "op: mean is no primitive.*check.gradients"),
        (lambda: mg.check.primitive(math.sin), "op: sin is no primitive"),
        (lambda: mg.check.gradients(mg.tanh, [1.0], order=0), "order: 0 must be at least 1"),
        (lambda: mg.check.gradients(mg.tanh, [1, 2]), "none of 1 is floating.*2.0 for 2"),
        (lambda: mg.check.gradients(lambda x: x > 0, [1.0]), "must return floating tensors, it returned bool"),
        (lambda: mg.check.gradients(lambda x: 3.0, [1.0]), "must return floating tensors, it returned float"),
        (lambda: mg.check.gradients(lambda x: mg.random.uniform(x.shape), [1.0]), "another result for the same inputs"),
    ],
)  # fmt: skip
def test_a_check_of_nothing_is_refused(call: Any, words: str) -> None:
    with pytest.raises(mg.errors.ArgumentError, match=words):
        call()


def test_a_primitive_without_samples_cannot_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mg.check.primitives()["tanh"], "samples", ())
    with pytest.raises(mg.errors.ArgumentError, match="'tanh' has no samples; declare a domain for each input"):
        mg.check.primitive(mg.tanh)


def test_a_primitive_without_gradient_passes_with_nothing_compared() -> None:
    assert mg.check.primitive(mg.floor, examples=2).compared > 0
    assert mg.check.primitive(mg.isnan, examples=2).compared == 0


def test_a_rule_that_is_no_adjoint_is_found() -> None:
    """Of two functions that differ between reverse and forward mode: the rule is not linear in the cotangent."""
    op = mg.check.primitives()["tanh"]
    crooked = with_rule(op, 0, lambda g, y: g * g * (1 - y * y))
    with crooked, pytest.raises(mg.check.CheckError, match=r"by forward mode and .* by reverse mode"):
        mg.check.adjoint(mg.tanh, [0.5, -1.0])
