"""Arguments of all public functions: names, integers of every kind, and an answer that teaches to everything else."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from arguments import ARRAYS, CALLS, ELSEWHERE, FITTING, INTEGERS, MANY, OWN, REALS, X, parameters, public_functions
from tables import OPS, points

import minigrad as mg
from minigrad import errors as e


def host(result: Any) -> list[np.ndarray[Any, Any]]:
    parts = result if isinstance(result, (tuple, list)) else (result,)
    return [p.numpy() if isinstance(p, mg.Tensor) else np.asarray(p) for p in parts]


def same(a: Any, b: Any) -> bool:
    """Equal in every bit, dtypes and shapes included."""
    pairs = list(zip(host(a), host(b), strict=True))
    return all((x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes()) for x, y in pairs)


# ---- primitives: their inputs by position and by name


@pytest.mark.parametrize("name", [n for n, op in OPS.items() if not op.variadic])
def test_a_primitive_takes_its_inputs_by_the_names_of_its_signature(name: str) -> None:
    op = OPS[name]
    ((args, params),) = points(op, 1)
    tensors = [mg.tensor(a) for a in args]
    expected = op.call(*tensors, **params)
    for by_position in range(len(tensors)):
        named = dict(zip(op.inputs[by_position:], tensors[by_position:], strict=True))
        assert same(op.call(*tensors[:by_position], **named, **params), expected)


@pytest.mark.parametrize("name", OPS)
def test_a_primitive_refuses_a_name_that_it_does_not_have_and_an_input_too_few(name: str) -> None:
    op = OPS[name]
    ((args, params),) = points(op, 1)
    tensors = [mg.tensor(a) for a in args]
    with pytest.raises(TypeError, match=rf"^{name}(\(\) |: ).*'no_such_name'"):
        op.call(*tensors, **params, no_such_name=1)
    if not op.variadic:
        with pytest.raises(TypeError, match=rf"^{name}(\(\) |: ).*{op.inputs[-1]}"):
            op.call(*tensors[:-1], **params)


def test_every_missing_parameter_is_named() -> None:
    for name, op in OPS.items():
        needed = [k for k, v in op.defaults.items() if v is inspect.Parameter.empty]
        if needed:
            ((args, params),) = points(op, 1)
            params = {k: v for k, v in params.items() if k != needed[0]}
            with pytest.raises(TypeError, match=rf"^{name}: parameter '{needed[0]}' is missing"):
                op.call(*map(mg.tensor, args), **params)


@pytest.mark.parametrize("mask", [True, False, np.array([True, False]), mg.tensor([True, False])])
def test_keep_of_a_number(mask: Any) -> None:
    kept = mg.keep(2.0, mask)
    assert np.array_equal(host(kept)[0], np.where(host(mask)[0], 2.0, 0.0))
    assert host(kept)[0].dtype == np.float64


# ---- integers: whatever has __index__


class Index:
    """Not an int, but as good as one."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def integer_parameters() -> Iterator[tuple[str, str]]:
    for name, call in CALLS.items():
        for p in parameters(call.function):
            if p.name in INTEGERS and (name, p.name) not in REALS and p.kind is not p.VAR_POSITIONAL:
                yield name, p.name


INTEGER_PARAMETERS = list(integer_parameters())


@pytest.mark.parametrize(("name", "parameter"), INTEGER_PARAMETERS)
def test_every_kind_of_integer_is_taken(name: str, parameter: str) -> None:
    call, value = CALLS[name], CALLS[name].given[parameter]
    mg.random.seed(0)
    expected = call()
    for kind in (np.int64, np.uint8, Index, np.asarray):
        mg.random.seed(0)
        assert same(call(**{parameter: tuple(map(kind, value)) if isinstance(value, tuple) else kind(value)}), expected)


@pytest.mark.parametrize(("name", "parameter"), INTEGER_PARAMETERS)
def test_what_is_no_integer_is_refused_by_name(name: str, parameter: str) -> None:
    for bad in (True, np.True_, 1.5, 1.0, np.float64(1), "1", {"a": 1}, [1.5], [True], object()):
        with pytest.raises(e.ArgumentTypeError, match=rf"{parameter}=.* must be"):
            CALLS[name](**{parameter: bad})


# ---- everything else


BAD: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(ARRAYS, ([1.0], "a", None, object())),
    **dict.fromkeys(("axis", "axis1", "axis2", "source", "destination"), (99, -99)),
    "shape": (-7, (2, -7)), "arrays": ([], [[1.0]], "ab", None, 3), "dtype": ("nonsense", "complex64", 3),
    **dict.fromkeys(("mode", "side", "approximate", "reduction"), ("nonsense", 3, None)),
    "device": ("tpu", 3), "subscripts": (3, None, "i$"), "indices": ("a", 1.5, [1.5], object(), 99),
    "index": ("a", 1.5, [1.5], object(), 99), "generator": (3,),
    **dict.fromkeys(("correction", "eps", "delta", "p", "gain", "value", "ord", "step", "label_smoothing"),
                    ("a", object())),
    **dict.fromkeys(("repeats", "kernel_size", "stride", "dilation", "groups"), (-3,)),
}  # fmt: skip
"""What a parameter of each name does not take."""
FINE: dict[tuple[str, str], tuple[Any, ...]] = {
    **{(f, k): (None,) for f in ("equal", "not_equal") for k in "ab"},  # Python compares with None all the time
    **{(name, k): ([1.0],) for name in CALLS if name.startswith("losses.") for k in ("prediction", "target")},
}
"""Values of that table that are taken after all: losses take lists, as `mg.tensor` does."""


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_a_bad_argument_is_answered_from_the_tree_of_errors(name: str) -> None:
    call = CALLS[name]
    for p in parameters(call.function):
        for bad in () if p.kind is p.VAR_POSITIONAL else BAD.get(p.name, ()):
            if any(k == (name, p.name) and bad in values for k, values in FINE.items()):
                continue
            with pytest.raises(e.MinigradError) as caught:
                host(call(**{p.name: bad}))
            text = str(caught.value)
            assert (
                name.rpartition(".")[2] in text
                or p.name in text
                or "data of type" in text
                or (bad == 99 and "getitem: index 99" in text)
            ), text
            assert "object has no attribute" not in text


def test_every_public_function_is_in_the_table() -> None:
    assert {name for name, _ in public_functions()} == set(CALLS)
    assert len(CALLS) >= 180
    assert set(OWN) <= set(CALLS)
    names = {p.name for call in CALLS.values() for p in parameters(call.function)}
    assert names - {"operands"} <= set(FITTING) | {"arrays"}
    assert names >= INTEGERS
    assert MANY <= INTEGERS
    for name in ELSEWHERE:
        assert callable(getattr(mg.random, name[7:]) if name.startswith("random.") else getattr(mg, name))


@pytest.mark.parametrize("both", [(0, 1), (1, 0), (1, 1)])
def test_where_one_is_a_tensor_all_results_are(both: tuple[int, int]) -> None:
    arrays = [mg.tensor(X) if boxed else X[0] for boxed in both]
    if any(isinstance(a, np.ndarray) for a in arrays) and mg.tensor(X).device != "numpy":
        arrays = [mg.tensor(a) if isinstance(a, mg.Tensor) else mg.tensor(a).data for a in arrays]
    out = mg.broadcast_arrays(*arrays)
    assert [type(a) for a in out] == [mg.Tensor, mg.Tensor]
    assert all(isinstance(a, np.ndarray) for a in mg.broadcast_arrays(X, X[0]))
