"""Every registered primitive against central differences, against itself, in every dtype and memory layout.

G1-G3, G5-G7, G10, G11. A primitive is in these tables by being declared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import (
    FLOATS,
    NO_RULE,
    OPS,
    REGULAR,
    TRACKED,
    UNTRACKED,
    Array,
    beside_numbers,
    broadcastable,
    cast,
    dtype_combinations,
    exact,
    examples,
    points,
    run,
    shaped,
)

import minigrad as mg

RTOL = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-12}


def against_differences(op: Any, args: Any, params: Any, order: int, rtol: float) -> int:
    floats = [a for k, a in enumerate(args) if op.pull_for(k)[0] is not None]
    f = mg.check.differentiable(op, args, params)
    return mg.check.gradients(f, *floats, order=order, rtol=rtol).compared


@pytest.mark.parametrize("name", TRACKED)
def test_first_gradients(name: str) -> None:
    """G1."""
    op, compared = OPS[name], 0

    def one(args: Any, params: Any) -> None:
        nonlocal compared
        compared += against_differences(op, args, params, 1, 1e-6)

    if shaped(op):

        @settings(max_examples=examples(200))
        @given(broadcastable(len(op.samples)), st.integers(0, 2**32 - 1))
        def over_shapes(shapes: Any, seed: int) -> None:
            one(*mg.check.sample(op, np.random.default_rng(seed), shapes))

        over_shapes()
    else:
        for args, params in points(op, examples(200)):
            one(args, params)
    assert compared >= examples(200), "most points were empty"
    for f, x in beside_numbers(op):
        mg.check.gradients(f, x)


@pytest.mark.parametrize("name", TRACKED)
def test_second_gradients_by_inputs_and_cotangent(name: str) -> None:
    """G2."""
    for args, params in points(OPS[name], examples(50), seed=2):
        against_differences(OPS[name], args, params, 2, 1e-5)


@pytest.mark.parametrize("name", TRACKED)
def test_forward_mode_is_the_adjoint_of_reverse_mode(name: str) -> None:
    """G3."""
    op = OPS[name]
    for seed, (args, params) in enumerate(points(op, examples(200), seed=3)):
        floats = [a for k, a in enumerate(args) if op.pull_for(k)[0] is not None]
        mg.check.adjoint(mg.check.differentiable(op, args, params), *floats, seed=seed)


def test_the_table_is_the_registry() -> None:
    """G5: no primitive without samples, none untracked and no input without a rule but for a written reason."""
    assert [name for name, op in OPS.items() if not op.samples] == []
    assert set(OPS) - set(TRACKED) <= set(UNTRACKED), "no rule at all: give the reason in tables.UNTRACKED"
    assert set(TRACKED) & set(UNTRACKED) == set()
    ruleless = {
        (name, (*op.inputs, op.variadic)[k])
        for name, op in OPS.items()
        for k, rule in enumerate(op.rules)
        if rule is None and op.rules
    }
    assert ruleless == set(NO_RULE)
    assert len(TRACKED) >= 40


@pytest.mark.parametrize("name", sorted(set(OPS) - set(TRACKED)))
def test_what_has_no_rule_is_never_tracked(name: str) -> None:
    op = OPS[name]
    for args, params in points(op, 5):
        tensors = [mg.tensor(a, requires_grad=a.dtype.kind == "f") for a in args]
        assert not op.call(*tensors, **params).requires_grad


@pytest.mark.parametrize("name", sorted(OPS))
def test_raw_arrays_tensors_and_inference_agree(name: str, backend: str) -> None:
    op = OPS[name]
    for args, params in points(op, 20, seed=4):
        tensors = [mg.tensor(a) for a in args]
        ys = op.call(*tensors, **params)
        raws = op.call(*(t.data for t in tensors), **params)
        ys, raws = (ys, raws) if op.outputs > 1 else ((ys,), (raws,))
        if name == "gather" and any(a.dtype == bool for a in args):
            inferred: Any = [(y.shape, y.dtype) for y in ys]  # depends on the values
        else:
            inferred = op.infer(*tensors, **params)
            inferred = inferred if op.outputs > 1 else (inferred,)
        for y, raw, (shape, dtype) in zip(ys, raws, inferred, strict=True):
            assert (isinstance(y, mg.Tensor), isinstance(raw, mg.Tensor)) == (True, False)
            assert np.array_equal(y.numpy(), mg.tensor(raw).numpy(), equal_nan=True)
            assert (y.shape, y.dtype) == (shape, np.dtype(dtype))


@pytest.mark.parametrize("name", TRACKED)
def test_a_gradient_has_the_shape_and_dtype_of_its_input(name: str) -> None:
    """G6, for every combination of float dtypes; and no more precision is lost than the dtypes have (G7)."""
    op = OPS[name]
    for args, params in points(op, 3, seed=6):
        for dtypes in dtype_combinations(op, args):
            given_dtypes = {**params, "dtype": np.dtype(dtypes[0])} if name == "cast" else params
            inputs = [mg.tensor(a) for a in cast(args, dtypes)]
            ys, gs = run(op, inputs, given_dtypes)
            for x, g in zip(inputs, gs, strict=True):
                if x.requires_grad:
                    assert g is not None
                    assert (g.shape, g.dtype, g.device) == (x.shape, x.dtype, x.device), dtypes
            rough = cast(args, ["float16" if a.dtype.kind == "f" else str(a.dtype) for a in args])
            exact_ys, exact = run(op, [np.asarray(a, "f8") if a.dtype.kind == "f" else a for a in rough], params)
            ys, gs = run(op, cast(rough, dtypes), given_dtypes)
            lowest = min((d for d in dtypes if d in FLOATS), key=FLOATS.index)
            for a, b in zip([*ys, *gs], [*exact_ys, *exact], strict=True):
                if a is not None:
                    assert distance(a, b) <= RTOL[lowest], dtypes


def distance(a: Any, b: Any) -> float:
    """The largest difference, relative to the largest element of `b`, or to 1."""
    x, y = (np.asarray(v.numpy() if isinstance(v, mg.Tensor) else v, np.float64) for v in (a, b))
    assert x.shape == y.shape
    return float(np.max(np.abs(x - y), initial=0) / max(1.0, np.max(np.abs(y), initial=0)))


LAYOUTS = {
    "strided": lambda v: mg.tensor(np.repeat(v, 2, -1))[..., ::2],
    "negative": lambda v: mg.tensor(v[..., ::-1])[..., ::-1],
    "fortran": lambda v: mg.tensor(np.ascontiguousarray(v.T)).T,
    "offset": lambda v: mg.tensor(np.concatenate([v[:1], v]))[1:],
    "zero": lambda v: mg.broadcast_to(mg.tensor(v[:1]), v.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", sorted(OPS))
def test_memory_layout_does_not_matter(name: str, layout: str, backend: str) -> None:
    """G10, in float64 and in float32 by turns: bit-equal where elements are moved or computed by arithmetic, within
    4 units in the last place for elementwise functions, within G7's bound for sums and what is made of them.
    """
    op = OPS[name]
    for k, (args, params) in enumerate(points(op, 12, seed=10)):
        dtype = ("float64", "float32")[k % 2]
        args = cast(args, [dtype if a.dtype.kind == "f" else str(a.dtype) for a in args])
        fit = [layout != "zero" or (a.dtype.kind == "f" and name not in REGULAR) for a in args]  # "zero" changes values
        laid = [a.ndim and a.size and f for a, f in zip(args, fit, strict=True)]
        views = [LAYOUTS[layout](a).detach() if way else mg.tensor(a) for a, way in zip(args, laid, strict=True)]
        plain = [mg.tensor(np.array(v.numpy(), order="C")) for v in views]
        ys, gs = run(op, views, params)
        expected_ys, expected_gs = run(op, plain, params)
        for a, b in zip([*ys, *gs], [*expected_ys, *expected_gs], strict=True):
            if a is None or b is None:
                assert a is b
            elif exact(op):
                assert np.array_equal(host(a), host(b), equal_nan=True)
            elif op.kind == "map":
                assert units(host(a), host(b)) <= 4
            else:
                assert distance(a, b) <= RTOL[dtype]


def units(a: Array, b: Array) -> float:
    """The largest difference of two arrays in units of the last place of `b`; NaN and inf only match themselves."""
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    differing = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    a, b = a[differing], b[differing]
    return float(np.max(np.abs(a - b) / np.spacing(np.abs(b)), initial=0))


def host(a: Any) -> Array:
    return a.numpy() if isinstance(a, mg.Tensor) else np.asarray(a)


def several(y: Any) -> tuple[Any, ...]:
    return y if isinstance(y, tuple) else (y,)


@pytest.mark.parametrize("name", sorted(OPS))
def test_read_only_arrays_are_taken_and_no_operand_is_written(name: str, backend: str) -> None:
    """G10: as bare operands beside a tracked one; what comes out is what tensors give, bit for bit."""
    op = OPS[name]
    for args, params in points(op, 3, seed=11):
        before = [a.copy() for a in args]
        for a in args:
            a.setflags(write=False)
        at = next((k for k, a in enumerate(args) if op.pull_for(k)[0] is not None and a.dtype.kind == "f"), None)
        mixed = [
            mg.tensor(a, requires_grad=k == at) if k == at or backend != "numpy" else a for k, a in enumerate(args)
        ]
        ys = several(op.call(*mixed, **params))
        expected, gs = run(op, before, params)
        assert all(np.array_equal(host(y), e, equal_nan=True) for y, e in zip(ys, expected, strict=True))
        if at is not None:
            tracked = [y for y in ys if y.requires_grad]
            u = np.random.default_rng(1)
            parts = [y.backward(mg.tensor(u.uniform(0.5, 1.5, y.shape)), retain_graph=True) for y in tracked]
            assert parts
            assert np.array_equal(mixed[at].grad.numpy(), gs[at].numpy())
        assert all(np.array_equal(a, b) for a, b in zip(args, before, strict=True))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "bool"])
def test_only_floats_can_be_differentiated(dtype: str) -> None:
    """G11."""
    for attempt in (
        lambda: mg.tensor([1, 0], dtype=dtype, requires_grad=True),
        lambda: setattr(mg.tensor([1, 0], dtype=dtype), "requires_grad", True),
        lambda: mg.grad(lambda x: mg.sum(x * 1.0))(mg.tensor([1, 0], dtype=dtype)),
        lambda: mg.Parameter(np.array([1, 0], dtype=dtype)),
    ):
        with pytest.raises(TypeError, match=dtype):
            attempt()


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "bool"])
def test_integer_constants_are_allowed(dtype: str) -> None:
    """G11: beside a floating operand, which keeps its dtype's gradient."""
    constant = mg.tensor([1, 0, 1], dtype=dtype)
    for f in (
        lambda x: x * constant,
        lambda x: constant + x,
        lambda x: mg.where(constant, x, 0.0),
        lambda x: x**constant,
    ):
        x = mg.tensor([1.5, 2.5, 3.5], dtype="float32", requires_grad=True)
        f(x).sum().backward()
        assert x.grad is not None
        assert (x.grad.dtype, x.grad.shape) == (np.dtype("float32"), (3,))
