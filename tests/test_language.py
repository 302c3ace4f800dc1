"""The composed functions: equal to NumPy's of the same name, differentiable, traceable, and clear about mistakes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from language import ROWS, A, B, Row

import minigrad as mg

IDS = [row.name for row in ROWS]


def several(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_it_is_what_numpy_says(row: Row) -> None:
    found, expected = several(row.call(*map(mg.tensor, row.arrays))), several(row.numpy(*row.arrays))
    for a, b in zip(found, expected, strict=True):
        assert isinstance(a, mg.Tensor)
        assert (a.shape, a.dtype) == (np.shape(b), np.asarray(b).dtype)
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("row", [r for r in ROWS if not r.name.startswith("Tensor.")], ids=lambda r: r.name)
def test_arrays_in_arrays_out(row: Row) -> None:
    for a, b in zip(several(row.call(*row.arrays)), several(row.numpy(*row.arrays)), strict=True):
        assert type(a) is np.ndarray
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("row", [r for r in ROWS if r.smooth], ids=lambda r: r.name)
def test_its_gradients_to_order_two(row: Row) -> None:
    """G1 and G2 for compositions; one more factor makes the linear ones curved."""

    def curved(*xs: Any) -> Any:
        return tuple(y * y for y in several(row.call(*xs)))

    mg.check.gradients(curved, *row.arrays, order=1)
    mg.check.gradients(curved, *row.arrays, order=2, rtol=1e-5)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_it_keeps_the_dtype_and_its_gradient(row: Row, dtype: str) -> None:
    xs = [mg.tensor(a, dtype=dtype, requires_grad=row.smooth) for a in row.arrays]
    ys = [y for y in several(row.call(*xs)) if y.dtype.kind == "f"]
    exact = several(row.numpy(*(x.numpy().astype("f8") for x in xs)))
    for y, e in zip(ys, exact, strict=bool(ys)):
        assert y.dtype == dtype
        tolerance = {"float16": 4e-2, "float32": 1e-5}[dtype] * max(1.0, np.abs(e).max(initial=0))
        assert np.abs(y.numpy() - e).max(initial=0) <= tolerance
    if row.smooth:
        total = ys[0].sum()
        for y in ys[1:]:
            total = total + y.sum()
        for x, g in zip(xs, mg.gradients(total, xs), strict=True):
            assert g is not None
            assert (g.shape, g.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_it_runs_on_arrays_without_values(row: Row) -> None:
    tensors = [mg.tensor(a) for a in row.arrays]
    program = mg.graph.program(row.call, *tensors)
    real = several(row.call(*tensors))
    assert [(o.shape, np.dtype(o.dtype)) for o in program.outputs] == [(r.shape, r.dtype) for r in real]


M = mg.tensor
WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("bits", lambda: M([1, 2]) & M([1, 2]), mg.errors.DtypeError, "int64"),
    ("bits", lambda: ~M([1.0]), mg.errors.DtypeError, "float64"),
    ("split", lambda: mg.split(B, 5), mg.errors.ShapeError, "sections=5"),
    ("split", lambda: mg.split(B, (2, 1)), mg.errors.ShapeError, "increase"),
    ("moveaxis", lambda: mg.moveaxis(B, 0, (0, 1)), mg.errors.AxisError, "equally many"),
    ("swapaxes", lambda: mg.swapaxes(B, 0, 2), mg.errors.AxisError, "axis 2"),
    ("broadcast", lambda: mg.broadcast_arrays(B, B[:2]), mg.errors.ShapeError, "(2, 4)"),
    ("roll", lambda: mg.roll(B, (1, 2), 0), mg.errors.ArgumentError, "shift (1, 2)"),
    ("tile", lambda: mg.tile(B, -1), mg.errors.ArgumentError, "repeats=-1"),
    ("repeat", lambda: mg.repeat(B, (1, 2), 0), mg.errors.ArgumentError, "3 elements"),
    ("tril", lambda: mg.tril(B[0]), mg.errors.ShapeError, "1 axes"),
    ("diagonal", lambda: mg.diagonal(B, 0, 1, -1), mg.errors.AxisError, "twice"),
    ("take", lambda: mg.take(M(B), [0.5]), mg.errors.DtypeError, "float64"),
    ("take", lambda: mg.take(M(B), [9], 1).numpy(), IndexError, "9"),
    ("take_along_axis", lambda: mg.take_along_axis(B, np.array([1])), mg.errors.ShapeError, "(1,)"),
    ("topk", lambda: mg.topk(B, 5), mg.errors.ArgumentError, "k=5"),
    ("searchsorted", lambda: mg.searchsorted(B, 1.0), mg.errors.ShapeError, "one axis"),
    ("searchsorted", lambda: mg.searchsorted(B[0], 1.0, "up"), mg.errors.ArgumentError, "side"),
    ("argmin", lambda: mg.argmin(mg.zeros((0, 2)), 0), mg.errors.ShapeError, "no elements"),
    ("pad", lambda: mg.pad(B, 4, mode="reflect"), mg.errors.ShapeError, "4 elements"),
    ("pad", lambda: mg.pad(B, 1, mode="wrap"), mg.errors.ArgumentError, "'wrap'"),
    ("pad", lambda: mg.pad(B, 1, 2.0, mode="edge"), mg.errors.ArgumentError, "value: 2.0"),
    ("vecdot", lambda: mg.vecdot(B, B[:, :2]), mg.errors.ShapeError, "4 and 2"),
    ("tensordot", lambda: mg.tensordot(A, B, 3), mg.errors.ShapeError, "axes=3"),
    ("tensordot", lambda: mg.tensordot(A, B, ([0], [1])), mg.errors.ShapeError, "equal sizes"),
    ("einsum", lambda: mg.einsum("ij,jk", B), mg.errors.ArgumentError, "2 operands are named"),
    ("einsum", lambda: mg.einsum("ij->ii", B), mg.errors.ArgumentError, "twice"),
    ("einsum", lambda: mg.einsum("ij->k", B), mg.errors.ArgumentError, "no operand"),
    ("einsum", lambda: mg.einsum("i$", B), mg.errors.ArgumentError, "letters"),
    ("einsum", lambda: mg.einsum("i", B), mg.errors.ShapeError, "2 axes"),
    ("einsum", lambda: mg.einsum("...i->i", B), mg.errors.ArgumentError, "ellipsis"),
    ("einsum", lambda: mg.einsum("ij,jk", B, B), mg.errors.ShapeError, "sizes 4 and 3"),
    ("inv", lambda: mg.linalg.inv(B), mg.errors.ShapeError, "square"),
    ("solve", lambda: mg.linalg.solve(np.eye(2), B), mg.errors.ShapeError, "2 rows"),
    ("trace", lambda: mg.linalg.trace(B[0]), mg.errors.ShapeError, "1 axes"),
    ("gelu", lambda: mg.gelu(B, "fast"), mg.errors.ArgumentError, "'fast'"),
]


@pytest.mark.parametrize(("name", "call", "error", "says"), WRONG, ids=[w[0] for w in WRONG])
def test_a_mistake_is_explained(name: str, call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        call()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sigmoid", "softplus"])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # the lowest float32 number in a float16 result
def test_large_and_infinite_elements_give_no_nan(name: str, dtype: str) -> None:
    """N6: ±1e4, ±inf; rows of -inf alone are the documented exception."""
    inf = np.inf
    rows = [[1e4, -1e4, 0], [inf, 1, 2], [inf, inf, -inf], [-inf, 1, 2], [-inf, -inf, 0], [-1e4, -1e4, -1e4]]
    x = mg.tensor(rows, dtype=dtype, requires_grad=True)
    y = mg.logsumexp(x, 1) if name == "logsumexp" else getattr(mg, name)(x)
    u = np.random.default_rng(0).uniform(0.5, 1.5, y.shape)
    (g,) = mg.gradients(y, [x], cotangent=mg.tensor(u, dtype=dtype), create_graph=True)
    (h,) = mg.gradients(g.sum(), [x])
    assert not any(np.isnan(t.numpy()).any() for t in (y, g, h))


def test_products_with_zeros_have_exact_gradients() -> None:
    """N7."""
    for values in ([0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [4.0, 2.0, 3.0]):
        expected = [np.prod([v for k, v in enumerate(values) if k != i]) for i in range(3)]
        assert mg.grad(mg.prod)(np.array(values)).tolist() == expected
        assert mg.grad(lambda x: mg.cumprod(x)[-1])(np.array(values)).tolist() == expected


def test_rest_of_numpys_operators() -> None:
    x, b = M([7.0, -7.0]), M([True, False])
    assert (x // 2).tolist() == [3, -4]
    assert (x % 4).tolist() == [3, 1]
    assert (20 // x).tolist() == [2, -3]
    assert (20 % x).tolist() == [6, -1]
    assert [t.tolist() for t in divmod(x, 2)] == [[3, -4], [1, 1]]
    assert [t.tolist() for t in divmod(20, x)] == [[2, -3], [6, -1]]
    assert (+x).tolist() == x.tolist()
    assert (b ^ True).tolist() == (True ^ b).tolist() == [False, True]
    assert (b & True).tolist() == (True & b).tolist() == [True, False]
    assert (b | False).tolist() == (False | b).tolist() == [True, False]
    if b.device == "numpy":  # elsewhere arrays of the host are refused
        assert isinstance(np.array([True, True]) ^ b, mg.Tensor)
