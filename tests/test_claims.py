"""L3: closed forms that are right hold to the third order; famous wrong ones are caught, and told what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, BatchNorm2d, DynamicTanh, GroupNorm, L2Norm, LayerNorm, Linear, RMSNorm

RIGHT = [BatchNorm1d, BatchNorm2d, LayerNorm, GroupNorm, RMSNorm, L2Norm, DynamicTanh, mg.losses.cross_entropy]


@pytest.mark.parametrize("target", RIGHT, ids=lambda t: t.__name__)
def test_l3_the_registered_closed_forms_hold_to_order_3(target: Any) -> None:
    report = mg.check.claim(target)
    assert report.compared >= 50
    assert report.error <= 1
    assert "to order 3" in str(report)


Terms = tuple[mg.Tensor, mg.Tensor, mg.Tensor, mg.Tensor, int]


def terms(g: mg.Tensor, x: mg.Tensor, weight: mg.Tensor | None, eps: float) -> Terms:
    """g' = g weight, x̂, 1/σ and the number of rows of a batch norm of (n, c)."""
    d = x - mg.mean(x, axis=0)
    scale = mg.rsqrt(mg.mean(d * d, axis=0) + eps)
    return (g if weight is None else g * weight), g, d * scale, scale, x.shape[0]


def mean_detached(g: Any, x: Any, weight: Any, eps: float) -> dict[str, mg.Tensor]:
    g, _, x_hat, scale, _ = terms(g, x, weight, eps)
    return {"x": scale * (g - x_hat * mg.mean(g * x_hat, axis=0))}


def variance_detached(g: Any, x: Any, weight: Any, eps: float) -> dict[str, mg.Tensor]:
    g, _, _, scale, _ = terms(g, x, weight, eps)
    return {"x": scale * (g - mg.mean(g, axis=0))}


def gamma_forgotten(g: Any, x: Any, weight: Any, eps: float) -> dict[str, mg.Tensor]:
    _, g, x_hat, scale, _ = terms(g, x, weight, eps)
    return {"x": scale * (g - mg.mean(g, axis=0) - x_hat * mg.mean(g * x_hat, axis=0))}


def one_less(g: Any, x: Any, weight: Any, eps: float) -> dict[str, mg.Tensor]:
    """m - 1 in place of m."""
    g, _, x_hat, scale, m = terms(g, x, weight, eps)
    return {"x": scale * (g - mg.sum(g, axis=0) / (m - 1) - x_hat * mg.sum(g * x_hat, axis=0) / (m - 1))}


def cancels(g: Any, x: Any, weight: Any, eps: float) -> dict[str, mg.Tensor]:
    """The variance as E[x²] - E[x]²."""
    mean = mg.mean(x, axis=0)
    scale = mg.rsqrt(mg.mean(x * x, axis=0) - mean * mean + eps)
    x_hat = (x - mean) * scale
    g = g if weight is None else g * weight
    return {"x": scale * (g - mg.mean(g, axis=0) - x_hat * mg.mean(g * x_hat, axis=0))}


def wrong_sign(g: Any, x: Any, weight: Any, eps: float) -> dict[str, mg.Tensor]:
    g, _, x_hat, scale, _ = terms(g, x, weight, eps)
    return {"x": scale * (g - mg.mean(g, axis=0) + x_hat * mg.mean(g * x_hat, axis=0))}


def right_once(g: Any, x: Any, weight: Any, eps: float) -> dict[str, mg.Tensor]:
    """Right, with a statistic that whoever differentiates it takes for a constant."""
    g, _, x_hat, scale, _ = terms(g, x, weight, eps)
    return {"x": scale.detach() * (g - mg.mean(g, axis=0) - x_hat * mg.mean(g * x_hat, axis=0))}


def wrong_weight(g: Any, x: Any, weight: Any, eps: float) -> dict[str, mg.Tensor]:
    _, g, x_hat, _, _ = terms(g, x, weight, eps)
    return {"weight": mg.mean(g * x_hat, axis=0)}


WRONG: dict[Callable[..., Any], str] = {
    mean_detached: "the route through mean is missing; order 1, the gradient of x is",
    variance_detached: "the route through var is missing; order 1",
    gamma_forgotten: "weight is forgotten: it is right for a weight of ones; order 1",
    one_less: r"the route through mean is 1\.25 times what it is, the route through var is 1\.25 times",
    cancels: r"in float32, on 16 rows at offset 1e\+06, the gradient of x is off by .* allowed is 0\.2; subtract",
    wrong_sign: "the route through var is -1 times what it is; order 1",
    right_once: "order 2, a derivative of the gradient .* though every lower order holds; something in the closed",
    wrong_weight: "order 1, the gradient of weight is .* by the chain rule",
}


@pytest.mark.parametrize("form", WRONG, ids=lambda f: f.__name__)
def test_l3_wrong_closed_forms_are_told_what_is_wrong(form: Callable[..., Any]) -> None:
    with pytest.raises(mg.check.CheckError, match=WRONG[form]) as caught:
        mg.check.claim(BatchNorm1d, form, samples=[mg.Sample((3,), inputs=((5, 3),))])
    assert f"{form.__name__} of BatchNorm1d(3 of (5, 3))" in str(caught.value)
    assert caught.value.report.error > 1


def test_the_claim_of_a_module_and_of_evaluation() -> None:
    """A closed form that takes `training` is looked at in both modes; attributes of the layer are given by name."""
    seen = []

    def form(g: Any, x: Any, y: Any, weight: Any, running_var: Any, eps: float, training: bool) -> dict[str, mg.Tensor]:
        seen.append(training)
        if training:
            g, _, x_hat, scale, _ = terms(g, x, weight, eps)
            return {"x": scale * (g - mg.mean(g, axis=0) - x_hat * mg.mean(g * x_hat, axis=0))}
        assert y.shape == x.shape
        return {"x": g * weight * mg.rsqrt(running_var + eps)}

    report = mg.check.claim(BatchNorm1d(3), form, samples=[mg.Sample(inputs=((5, 3),))], order=2)
    assert report.error <= 1
    assert set(seen) == {True, False}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mg.check.claim(Linear), "none is registered for Linear"),
        (lambda: mg.check.claim(LayerNorm, lambda g, nonsense: {"x": g}), "asks for 'nonsense'; there are g, y"),
        (lambda: mg.check.claim(LayerNorm, lambda g: {"z": g}), "claims 'z', which is no floating input"),
        (lambda: mg.check.claim(LayerNorm, lambda g: g), "give a dict of input names"),
        (lambda: mg.check.claim(mg.tanh, lambda g: {"x": g}), "a function declares none"),
    ],
)
def test_a_wrong_call_is_told_the_right_one(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(mg.errors.ArgumentError, match=says):
        call()


def test_a_function_and_a_shape_that_is_wrong() -> None:
    sample = mg.Sample(inputs=((3, 2),))
    assert mg.check.claim(mg.tanh, lambda g, y: {"x": g * (1.0 - y * y)}, samples=[sample]).error <= 1
    with pytest.raises(mg.check.CheckError, match=r"the gradient of x has shape \(2,\), not \(3, 2\)"):
        mg.check.claim(mg.tanh, lambda g, y: {"x": mg.sum(g, axis=0)}, samples=[sample])
