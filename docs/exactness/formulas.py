"""The rows: each norm as its paper writes it, in NumPy's language, with the input and parameters it is tried on."""

from __future__ import annotations

from typing import NamedTuple


class Formula(NamedTuple):
    """A norm. `text` is an expression in x and the parameters; HIPS autograd differentiates it in float64.

    `group` is a place in x that one mean, variance or length is taken over: it is made constant, or zero. Where `kink`,
    the formula has no derivative at 0.
    """

    title: str
    shape: tuple[int, ...]
    parameters: dict[str, tuple[int, ...]]
    group: str
    text: str
    kink: bool = False
    note: str = ""
    prepare: str = ""  # a statement that moves the parameters from what was drawn


FORMULAS = {
    "BatchNorm": Formula(
        "batch norm", (16, 3), {"weight": (3,), "bias": (3,)}, "[:, 0]",
        "(d := x - x.mean(0)) / ((d * d).mean(0) + 1e-5) ** 0.5 * weight + bias",
    ),
    "LayerNorm": Formula(
        "layer norm", (5, 16), {"weight": (16,), "bias": (16,)}, "[0]",
        "(d := x - x.mean(1, keepdims=True)) / ((d * d).mean(1, keepdims=True) + 1e-5) ** 0.5 * weight + bias",
    ),
    "GroupNorm": Formula(
        "group norm", (3, 4, 8), {"weight": (4,), "bias": (4,)}, "[0, :2]",
        "((d := (z := x.reshape(3, 2, 16)) - z.mean(2, keepdims=True))"
        " / ((d * d).mean(2, keepdims=True) + 1e-5) ** 0.5).reshape(3, 4, 8) * weight[:, None] + bias[:, None]",
        note="two groups",
    ),
    "InstanceNorm": Formula(
        "instance norm", (3, 2, 16), {"weight": (2,), "bias": (2,)}, "[0, 0]",
        "(d := x - x.mean(2, keepdims=True)) / ((d * d).mean(2, keepdims=True) + 1e-5) ** 0.5"
        " * weight[:, None] + bias[:, None]",
    ),
    "RMSNorm": Formula(
        "RMS norm", (5, 16), {"weight": (16,)}, "[0]",
        "x / ((x * x).mean(1, keepdims=True) + 1e-6) ** 0.5 * weight",
    ),
    "LocalResponseNorm": Formula(
        "local response norm", (2, 7, 4), {}, "[0, :, 0]",
        "x / (1 + 0.1 * sum((p := np.concatenate([x[:, :2] * 0, x, x[:, :2] * 0], 1))[:, i : i + 7] ** 2"
        " for i in range(5))) ** 0.75",
        note="five channels, beta 0.75, the sum times 0.1",
    ),
    "GlobalResponseNorm": Formula(
        "global response norm", (2, 3, 4, 4), {"weight": (3,), "bias": (3,)}, "[0, 0]",
        "x + weight[:, None, None] * x * ((g := ((x * x).sum((2, 3), keepdims=True)) ** 0.5)"
        " / (g.mean(1, keepdims=True) + 1e-6)) + bias[:, None, None]",
        kink=True,
    ),
    "FilterResponseNorm": Formula(
        "filter response norm", (2, 3, 4, 4), {"weight": (3,), "bias": (3,), "tau": (3,)}, "[0, 0]",
        "np.maximum(x / ((x * x).mean((2, 3), keepdims=True) + 1e-6) ** 0.5 * weight[:, None, None]"
        " + bias[:, None, None], tau[:, None, None])",
        note="with its threshold", prepare="tau -= 2",
    ),
    "EvoNormB0": Formula(
        "EvoNorm-B0", (4, 3, 2, 2), {"weight": (3,), "bias": (3,), "v": (3,)}, "[:, 0]",
        "x / np.maximum((((x - x.mean((0, 2, 3), keepdims=True)) ** 2).mean((0, 2, 3), keepdims=True) + 1e-3) ** 0.5,"
        " v[:, None, None] * x"
        " + (((x - x.mean((2, 3), keepdims=True)) ** 2).mean((2, 3), keepdims=True) + 1e-3) ** 0.5)"
        " * weight[:, None, None] + bias[:, None, None]",
        note="eps 1e-3 in both variances",
    ),
    "EvoNormS0": Formula(
        "EvoNorm-S0", (2, 4, 2, 4), {"weight": (4,), "bias": (4,), "v": (4,)}, "[0, :2]",
        "x / (1 + np.exp(-v[:, None, None] * x)) / np.repeat(((((z := x.reshape(2, 2, 16)) - z.mean(2, keepdims=True))"
        " ** 2).mean(2) + 1e-5) ** 0.5, 2, 1)[:, :, None, None] * weight[:, None, None] + bias[:, None, None]",
        note="two groups",
    ),
    "DecorrelatedBatchNorm": Formula(
        "decorrelated batch norm", (16, 3), {}, "[:, 0]",
        "(d := x - x.mean(0)) @ ((e := np.linalg.eigh(d.T @ d / 16 + 1e-3 * np.eye(3)))[1] * e[0] ** -0.5) @ e[1].T",
        note="ZCA of all three channels",
    ),
    "L2Norm": Formula(
        "L2 norm", (5, 8), {}, "[0]", "x / np.maximum(((x * x).sum(1, keepdims=True)) ** 0.5, 1e-12)", kink=True,
    ),
    "CosineNorm": Formula(
        "cosine norm", (5, 8), {"w": (8, 8)}, "[0]",
        "(x / ((x * x).sum(1, keepdims=True)) ** 0.5) @ (w / ((w * w).sum(1)[:, None]) ** 0.5).T",
        kink=True,
    ),
    "WeightNorm": Formula(
        "weight norm", (4, 9), {"weight": (4, 1)}, "[0]", "x / ((x * x).sum(1, keepdims=True)) ** 0.5 * weight",
        kink=True, note="x is the direction v, the weight is the length g",
    ),
    "WeightStandardization": Formula(
        "weight standardization", (4, 3, 2, 2), {}, "[0]",
        "(d := x - x.mean((1, 2, 3), keepdims=True)) / ((d * d).mean((1, 2, 3), keepdims=True) + 1e-5) ** 0.5",
        note="x is the weight of a convolution, seen through a product with the unit of its input",
    ),
}  # fmt: skip
