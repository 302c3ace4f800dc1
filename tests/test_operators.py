"""B6: whatever stands on either side of an operator, a Tensor comes out, with NumPy's values and NumPy's dtype.

Scalars are weak, NumPy's own too: they take the tensor's dtype. Arrays are strong, 0-d ones too. So what is expected is
what NumPy gives for the bare array and the Python number that a scalar holds. NumPy alone makes object arrays.
"""

from __future__ import annotations

import operator as o
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tables import OPS, TRACKED, points

import minigrad as mg
from minigrad.backend import get_backend

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": o.add, "-": o.sub, "*": o.mul, "/": o.truediv, "**": o.pow, "//": o.floordiv, "%": o.mod, "divmod": divmod,
}  # fmt: skip
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": o.lt, "<=": o.le, "==": o.eq, "!=": o.ne, ">": o.gt, ">=": o.ge,
}  # fmt: skip
OPERATORS = ARITHMETIC | COMPARISONS

SCALARS: dict[str, Any] = {
    "int": 2, "float": 2.5, "bool": True, "np.float64": np.float64(2.5), "np.float32": np.float32(2.5),
    "np.float16": np.float16(2.5), "np.int64": np.int64(2), "np.uint8": np.uint8(2), "np.bool": np.bool_(True),
    "np.sqrt(2)": np.sqrt(2),
}  # fmt: skip
ARRAYS: dict[str, Any] = {
    "0-d float64": np.array(2.5), "0-d float16": np.array(2.5, "f2"), "0-d int": np.array(2),
    "float64": np.array([2.5, 3.0]),
    "float32": np.array([2.5, 3.0], "f4"), "float16": np.array([2.5, 3.0], "f2"), "int64": np.array([2, 3]),
    "int8": np.array([2, 3], "i1"), "bool": np.array([True, True]), "column": np.array([[2.5], [3.0]]),
    "read-only": np.broadcast_to(np.array(2.5), (2,)), "empty": np.zeros((0, 1)),
}  # fmt: skip
FLOATS = ("float16", "float32", "float64")
SHAPES = {"vector": [2.0, 3.0], "0-d": 3.0}


def parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def same(found: Any, expected: Any) -> None:
    """A Tensor (or two, of divmod), never of objects, to the last bit and in the dtype of what NumPy gives."""
    assert len(parts(found)) == len(parts(expected))
    for y, e in zip(parts(found), parts(expected), strict=True):
        assert type(y) is mg.Tensor
        assert y.dtype == e.dtype != object
        assert y.shape == e.shape
        assert np.array_equal(y.numpy(), e)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("symbol", OPERATORS)
@np.errstate(over="ignore", invalid="ignore")
def test_scalars_are_weak(symbol: str, name: str, dtype: str, shape: str) -> None:
    op, scalar, a = OPERATORS[symbol], SCALARS[name], np.array(SHAPES[shape], dtype)
    number = scalar.item() if isinstance(scalar, np.generic) else scalar
    if shape == "0-d":  # as an array, lest NumPy take it for a scalar too
        left, right = (tuple(np.squeeze(e) for e in parts(y)) for y in (op(number, a[None]), op(a[None], number)))
    else:
        left, right = op(number, a), op(a, number)
    same(op(scalar, mg.tensor(a)), left)
    same(op(mg.tensor(a), scalar), right)
    for y in parts(op(mg.tensor(a), scalar)):
        assert y.dtype == (bool if symbol in COMPARISONS else dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("symbol", OPERATORS)
def test_arrays_are_strong(symbol: str, name: str, dtype: str, backend: str) -> None:
    op, array, a = OPERATORS[symbol], ARRAYS[name], np.array([2.0, 3.0], dtype)
    own = get_backend(backend).asarray(array)  # on a device, an array that lives there
    same(op(own, mg.tensor(a)), op(array, a))
    same(op(mg.tensor(a), own), op(a, array))
    same(op(mg.tensor(array), mg.tensor(a)), op(array, a))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("other", FLOATS)
def test_matmul(other: str, dtype: str, backend: str) -> None:
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]], dtype), np.array([[5.0, 6.0], [7.0, 8.0]], other)
    own = get_backend(backend).asarray(b)
    same(mg.tensor(a) @ own, a @ b)
    same(own @ mg.tensor(a), b @ a)
    same(own[0] @ mg.tensor(a), b[0] @ a)
    same(mg.tensor(a) @ own[0], a @ b[0])


@pytest.mark.parametrize("symbol", OPERATORS)
def test_a_host_array_never_mixes_with_a_device(symbol: str) -> None:
    """Neither side may take the other for an object."""
    op, host, there = OPERATORS[symbol], np.array([2.0, 3.0]), mg.tensor([2.0, 3.0], device="fakecupy")
    for call in (lambda: op(host, there), lambda: op(there, host), lambda: op(np.array(2.0), there)):
        with pytest.raises(mg.errors.DeviceError, match="never mixed silently"):
            call()


LEFT = {"ndarray": np.array([2.0, 3.0]), "0-d": np.array(2.0), "np.float64": np.float64(2.0),
        "np.float32": np.float32(2.0), "float": 2.0}  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", LEFT)
@pytest.mark.parametrize("symbol", [s for s in ARITHMETIC if s not in ("//", "%", "divmod")])
def test_what_stands_beside_a_leaf_leaves_its_gradient_alone(symbol: str, name: str, dtype: str, backend: str) -> None:
    """The gradient has the leaf's dtype and shape; its value is that of the same expression of tensors, in float64."""
    op, other = ARITHMETIC[symbol], LEFT[name]
    own = get_backend(backend).asarray(other) if isinstance(other, np.ndarray) else other
    for swap in (False, True):
        x, wide = mg.tensor([1.5, 2.0], dtype=dtype, requires_grad=True), mg.tensor([1.5, 2.0], requires_grad=True)
        beside = mg.tensor(np.float64(other))
        (op(x, own) if swap else op(own, x)).sum().backward()
        (op(wide, beside) if swap else op(beside, wide)).sum().backward()
        assert x.grad.dtype == dtype
        assert x.grad.shape == (2,)
        exact = wide.grad.numpy()
        assert np.abs(x.grad.numpy() - exact).max() <= 16 * np.finfo(dtype).eps * np.abs(exact).max()


IN_PLACE = {"+": o.iadd, "-": o.isub, "*": o.imul, "/": o.itruediv, "**": o.ipow, "//": o.ifloordiv, "%": o.imod}


@pytest.mark.parametrize("symbol", IN_PLACE)
def test_in_place_forms_make_a_new_tensor(symbol: str, backend: str) -> None:
    """`x += 1` gives the name x to a new tensor: what a graph may hold is never written.

    An array that would be written stays as it was: NumPy refuses to put a tensor into it.
    """
    x = before = mg.tensor([2.0, 3.0])
    x = IN_PLACE[symbol](x, 2.0)
    same(x, ARITHMETIC[symbol](np.array([2.0, 3.0]), 2.0))
    assert before.tolist() == [2.0, 3.0]
    array = get_backend(backend).asarray([2.0, 3.0])
    with pytest.raises(TypeError, match="Tensor"):
        IN_PLACE[symbol](array, mg.tensor([1.0, 2.0]))
    assert get_backend(backend).to_host(array).tolist() == [2.0, 3.0]


def test_the_check_sees_an_object_array() -> None:
    """What NumPy makes of a class that does not say `__array_ufunc__ = None`."""

    class Careless:
        def __mul__(self, other: Any) -> mg.Tensor:
            return mg.tensor([2.0, 3.0]) * other

        __rmul__ = __mul__

    found = np.array([2.0, 3.0]) * Careless()
    assert found.dtype == object
    with pytest.raises(AssertionError):
        same(found, np.array([4.0, 9.0]))
    with pytest.raises(AssertionError):
        same(mg.tensor([4.0, 9.0], dtype="float32"), np.array([4.0, 9.0]))


TWO = [n for n in TRACKED if len(OPS[n].inputs) > 1 and not OPS[n].variadic and OPS[n].kind == "map" and n != "keep"]


@pytest.mark.parametrize("name", TWO)
def test_a_number_in_any_place_of_any_operation(name: str) -> None:
    """The gradients are those beside a 0-d tensor of the same value: a rule may be given numbers as they are."""
    op = OPS[name]
    ((args, params),) = points(op, 1, seed=3)
    for k, a in enumerate(args):
        if a.dtype.kind != "f":
            continue
        number, found = float(a.flat[0]), []
        for beside in (number, mg.tensor(number)):
            tensors = [mg.tensor(b, requires_grad=b.dtype.kind == "f" and i != k) for i, b in enumerate(args)]
            y = op.call(*[beside if i == k else t for i, t in enumerate(tensors)], **params)
            y.backward(mg.ones(y.shape))
            found.append([t.grad.numpy() for t in tensors if t.grad is not None])
        assert found[0]
        for one, other in zip(*found, strict=True):
            assert np.allclose(one, other, rtol=1e-14, atol=0)
