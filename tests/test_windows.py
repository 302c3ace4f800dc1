"""Convolution, its transpose and pooling in one, two and three dimensions, against loops and against each other."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import minigrad as mg

SPACES = {1: (7,), 2: (7, 6), 3: (7, 6, 5)}
SIZES = (3, 2, 2)
GEOMETRIES: list[tuple[Any, Any, Any, int]] = [  # stride, padding, dilation, groups
    (1, 0, 1, 1),
    (2, 1, 1, 2),
    (1, 2, 2, 1),
    (3, 1, 2, 2),
    ((1, 2, 3), (0, 1, 2), (2, 1, 1), 1),
]


def cut(value: Any, spatial: int) -> tuple[int, ...]:
    return (value,) * spatial if isinstance(value, int) else value[:spatial]


def places(lengths: Any, sizes: Any, strides: Any, dilations: Any) -> Any:
    """Where each window reads: its number along each axis, and the slices."""
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(lengths, sizes, strides, dilations, strict=True)]
    for at in itertools.product(*map(range, counts)):
        yield (
            at,
            tuple(
                slice(i * s, i * s + d * (k - 1) + 1, d)
                for i, k, s, d in zip(at, sizes, strides, dilations, strict=True)
            ),
        )


def loops(x: Any, w: Any, b: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    spatial = x.ndim - 2
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    found = {}
    per_in, per_out = x.shape[1] // groups, w.shape[0] // groups
    for at, where in places(x.shape[2:], w.shape[2:], stride, dilation):
        window = x[(slice(None), slice(None), *where)]
        rows = [
            np.tensordot(window[:, g * per_in : (g + 1) * per_in], w[g * per_out : (g + 1) * per_out],
                         (range(1, 2 + spatial), range(1, 2 + spatial)))
            for g in range(groups)
        ]  # fmt: skip
        found[at] = np.concatenate(rows, 1) + b
    shape = [1 + max(at[i] for at in found) for i in range(spatial)]
    y = np.zeros((len(x), len(w), *shape))
    for at, value in found.items():
        y[(slice(None), slice(None), *at)] = value
    return y


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("spatial", SPACES)
def test_convolution_is_what_loops_give(spatial: int, geometry: Any, rng: np.random.Generator) -> None:
    stride, padding, dilation = (cut(v, spatial) for v in geometry[:3])
    groups = geometry[3]
    x = rng.standard_normal((2, 4, *SPACES[spatial]))
    w, b = rng.standard_normal((6, 4 // groups, *SIZES[:spatial])), rng.standard_normal(6)
    conv = getattr(mg, f"conv{spatial}d")
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    y = conv(mg.tensor(x), mg.tensor(w), mg.tensor(b), **options)
    np.testing.assert_allclose(y.numpy(), loops(x, w, b, **options), atol=1e-12)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("spatial", SPACES)
def test_the_transpose_is_the_adjoint_of_the_convolution(spatial: int, geometry: Any, rng: np.random.Generator) -> None:
    """conv_transpose(u, w) is the cotangent that conv(·, w) sends back for u; output_padding chooses the size."""
    stride, padding, dilation = (cut(v, spatial) for v in geometry[:3])
    conv, transpose = getattr(mg, f"conv{spatial}d"), getattr(mg, f"conv_transpose{spatial}d")
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": geometry[3]}
    x = mg.tensor(rng.standard_normal((2, 4, *SPACES[spatial])))
    w = mg.tensor(rng.standard_normal((6, 4 // geometry[3], *SIZES[:spatial])))
    y, pull = mg.vjp(lambda x: conv(x, w, **options), x)
    u = mg.tensor(rng.standard_normal(y.shape))
    (back,) = pull(u)
    reached = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1
        for n, s, p, d, k in zip(y.shape[2:], stride, padding, dilation, SIZES, strict=False)
    ]
    more = tuple(n - r for n, r in zip(x.shape[2:], reached, strict=True))
    np.testing.assert_allclose(transpose(u, w, output_padding=more, **options).numpy(), back.numpy(), atol=1e-12)


@pytest.mark.parametrize("arguments", [(2,), (3, 2, 1), (2, 1, 0), (3, 3, 0)], ids=str)
@pytest.mark.parametrize("spatial", SPACES)
def test_pooling_is_what_loops_give(spatial: int, arguments: Any, rng: np.random.Generator) -> None:
    size, stride, padding = (*arguments, arguments[0], 0)[:3] if len(arguments) == 1 else arguments
    x = rng.standard_normal((2, 3, *((6,) * spatial)))
    t = mg.tensor(x)
    wide = {
        v: np.pad(x, ((0, 0), (0, 0), *((padding, padding),) * spatial), constant_values=v) for v in (-math.inf, 0.0)
    }
    inside = np.pad(np.ones_like(x), ((0, 0), (0, 0), *((padding, padding),) * spatial))
    largest = getattr(mg, f"max_pool{spatial}d")(t, *arguments).numpy()
    mean = getattr(mg, f"avg_pool{spatial}d")(t, *arguments).numpy()
    honest = getattr(mg, f"avg_pool{spatial}d")(t, *arguments, count_include_pad=False).numpy()
    axes, seen = tuple(range(2, 2 + spatial)), 0
    for at, where in places(wide[0.0].shape[2:], (size,) * spatial, (stride,) * spatial, (1,) * spatial):
        of, here = (slice(None), slice(None), *where), (slice(None), slice(None), *at)
        np.testing.assert_array_equal(largest[here], wide[-math.inf][of].max(axes))
        np.testing.assert_allclose(mean[here], wide[0.0][of].mean(axes), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(honest[here], wide[0.0][of].sum(axes) / inside[of].sum(axes), rtol=1e-13, atol=1e-15)
        seen += 1
    assert seen == math.prod(largest.shape[2:]) == math.prod(mean.shape[2:])


@pytest.mark.parametrize("spatial", SPACES)
def test_gradients_to_order_three(spatial: int, rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((1, 2, *(3,) * spatial)), rng.standard_normal((2, 2, *(2,) * spatial))
    conv, transpose = getattr(mg, f"conv{spatial}d"), getattr(mg, f"conv_transpose{spatial}d")
    mean = getattr(mg, f"avg_pool{spatial}d")
    mg.check.gradients(lambda x, w: conv(x, w, padding=1, stride=2), x, w, order=3, rtol=1e-5)
    mg.check.gradients(lambda x, w: transpose(x, w, padding=1, stride=2, output_padding=1), x, w, order=3, rtol=1e-5)
    mg.check.gradients(lambda x: mean(x, 2, 1, 1, count_include_pad=False) ** 2, x, order=2, rtol=1e-5)


def test_output_padding_may_reach_to_the_dilation() -> None:
    y = mg.conv_transpose1d(mg.ones((1, 1, 2)), mg.tensor([[[1.0, 10.0]]]), dilation=3, output_padding=2)
    assert y.tolist() == [[[1.0, 1.0, 0.0, 10.0, 10.0, 0.0, 0.0]]]


WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda: mg.conv1d(mg.ones((2, 3)), mg.ones((2, 3, 1))), mg.errors.ShapeError, r"\(n, c, w\)"),
    (lambda: mg.conv2d(mg.ones((1, 2, 3, 3)), mg.ones((1, 3, 3, 3))), mg.errors.ShapeError, "2 channels"),
    (lambda: mg.conv2d(mg.ones((1, 2, 3, 3)), mg.ones((1, 2, 3, 3)), stride=0), mg.errors.ArgumentError, "stride: 0"),
    (lambda: mg.conv2d(mg.ones((1, 2, 3, 3)), mg.ones((1, 2, 5, 3))), mg.errors.ShapeError, "reaches"),
    (lambda: mg.conv_transpose1d(mg.ones((1, 2, 3)), mg.ones((3, 1, 2))), mg.errors.ShapeError, "2 channels"),
    (lambda: mg.conv_transpose1d(mg.ones((1, 2, 3)), mg.ones((2, 1, 2)), output_padding=1), ValueError, "less than"),
    (
        lambda: mg.conv_transpose1d(mg.ones((1, 2, 3)), mg.ones((2, 1, 2)), padding=2),
        mg.errors.ShapeError,
        "all of the",
    ),
    (lambda: mg.avg_pool3d(mg.ones((1, 2, 3, 3)), 2), mg.errors.ShapeError, "d, h, w"),
    (lambda: mg.max_pool2d(mg.ones((1, 2, 3, 3)), 2, padding=2), mg.errors.ArgumentError, "half"),
]


@pytest.mark.parametrize(("call", "error", "says"), WRONG, ids=[w[2] for w in WRONG])
def test_a_mistake_is_explained(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()
