"""What Python and other libraries ask of a tensor: numbers, indices, iteration, copies, NumPy's protocol, DLPack's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import minigrad as mg


def test_a_tensor_of_one_element_is_a_number() -> None:
    whole, real = mg.tensor([3]), mg.tensor([[2.5]])
    assert (int(whole), int(real), float(whole), bool(real)) == (3, 2, 3.0, True)
    assert [10, 20, 30, 40][mg.tensor(2)] == 30
    with pytest.raises(TypeError, match=r"only an integer tensor of one element .* float64"):
        range(3)[real]  # type: ignore[index]


def test_iteration_goes_over_the_first_axis_and_keeps_the_graph() -> None:
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = x
    (first * second).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]


def test_numpy_gets_a_copy_on_the_host_and_nothing_elsewhere() -> None:
    x = mg.tensor([1.0, 2.0], device="numpy")
    y = np.asarray(x)
    y[0] = 9.0
    assert x.tolist() == [1.0, 2.0]
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match=r"copy=False: .* use \.data"):
        np.asarray(x, copy=False)
    with pytest.raises(TypeError, match=r"on 'fakecupy' does not become a NumPy array by itself; use \.numpy\(\)"):
        np.asarray(x.to("fakecupy"))


def test_dlpack_gives_a_copy() -> None:
    x = mg.tensor([1.0, 2.0], device="numpy")
    assert x.__dlpack_device__() == (1, 0)  # the CPU
    y = np.from_dlpack(x)
    assert np.array_equal(y, [1.0, 2.0])
    assert not np.shares_memory(y, x.data)


def test_only_leaves_are_copied_deeply() -> None:
    x = mg.tensor([1.0], requires_grad=True, name="x")
    twin = copy.deepcopy(x)
    assert (twin.requires_grad, twin.tolist()) == (True, [1.0])
    with pytest.raises(RuntimeError, match=r"deepcopy: only leaves .* \.detach\(\)"):
        copy.deepcopy(x * 2)


def test_new_data_in_python_numbers_takes_the_dtype_that_is_there() -> None:
    x = mg.tensor([1.0, 2.0], dtype="float32")
    x.data = [3.0, 4.0]
    assert (x.dtype, x.tolist()) == (np.float32, [3.0, 4.0])


def test_two_hooks_come_off_one_by_one() -> None:
    x = mg.tensor([1.0], requires_grad=True)
    seen: list[str] = []
    first = x.register_hook(lambda g: seen.append("first"))
    second = x.register_hook(lambda g: seen.append("second"))
    x.sum().backward()
    first.remove()
    first.remove()
    x.sum().backward()
    second.remove()
    x.sum().backward()
    assert seen == ["first", "second", "second"]


def test_operators_on_booleans_and_symbols() -> None:
    assert (~mg.tensor([True, False])).tolist() == [False, True]
    a = mg.notation.symbol("a")
    assert (a >= 1.0).text() == "a >= 1"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: mg.tensor([[1, 2], [3, 4]]).transpose(), [[1, 3], [2, 4]]),
        (lambda: mg.argsort(mg.tensor([[3.0, 1.0], [2.0, 0.0]]), axis=None), [3, 1, 2, 0]),
        (lambda: mg.nan_to_num(mg.tensor([1, 2])), [1, 2]),
        (lambda: mg.cumprod(mg.tensor([True, True, False])), [1, 1, 0]),
        (lambda: mg.cumprod(mg.tensor([2, 3, 4], dtype="int8")), [2, 6, 24]),
        (lambda: mg.unstack(mg.zeros((0, 3))), ()),
        (lambda: mg.prod(mg.zeros((2, 0)), axis=1), [1.0, 1.0]),
        (lambda: mg.var(mg.tensor([1.0, 2.0, 3.0]), correction=1), 1.0),
        (lambda: mg.pad(mg.tensor([[1, 2]]), ((0, 0), (1, 1)), mode="edge"), [[1, 1, 2, 2]]),
        (lambda: mg.pad(mg.tensor([[1, 2, 3]]), ((0, 0), (1, 0)), mode="reflect"), [[2, 1, 2, 3]]),
        (lambda: mg.add(2, 3), 5),
    ],
)  # fmt: skip
def test_small_cases_of_functions(call: Any, expected: Any) -> None:
    found = call()
    assert (found if isinstance(found, tuple) else found.tolist()) == expected


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: mg.matrix_transpose(mg.zeros(3)), mg.errors.ShapeError, r"shape \(3,\) has 1 axes; a matrix"),
        (lambda: mg.linalg.qr(mg.zeros(3)), mg.errors.ShapeError, r"qr: shape \(3,\) has 1 axes"),
        (lambda: mg.linalg.eigh(mg.zeros((2, 3))), mg.errors.ShapeError, r"eigh: shape \(2, 3\) holds no square"),
        (
            lambda: mg.linalg.solve(mg.zeros((2, 3, 3)), mg.zeros((3, 3, 1))),
            mg.errors.ShapeError,
            r"batch axes of a \(2, 3, 3\) and b \(3, 3, 1\) do not broadcast",
        ),
        (lambda: mg.pad(mg.zeros(2), ((1, 1), (1, 1))), mg.errors.ShapeError, "two numbers, not negative"),
        (lambda: mg.pad(mg.zeros(2), ((-1, 1),)), mg.errors.ShapeError, "not negative"),
        (lambda: mg.zeros((2, 2))[mg.tensor([0.0])], TypeError, "integers or booleans, this one is float64"),
        (lambda: mg.init.he_normal((3,)), mg.errors.ShapeError, r"fans: shape \(3,\) must have at least two axes"),
        (lambda: mg.init.he_normal((3, 3), mode="both"), mg.errors.ArgumentError, "mode: 'both' must be 'fan_in'"),
        (lambda: mg.training.EarlyStopping(patience=0), mg.errors.ArgumentError, "patience=0 must be at least 1"),
        (lambda: mg.training.EarlyStopping(mode="low"), mg.errors.ArgumentError, "mode='low' must be 'auto'"),
    ],
)  # fmt: skip
def test_what_they_refuse(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_initialisers_have_the_deviation_that_they_promise() -> None:
    for made, expected in (
        (mg.init.he_normal((200, 300)), (2 / 300) ** 0.5),
        (mg.init.he_normal((200, 300), mode="fan_out"), (2 / 200) ** 0.5),
        (mg.init.xavier_normal((200, 300)), (2 / 500) ** 0.5),
        (mg.init.normal((200, 300), 1.0, 0.5), 0.5),
    ):
        assert abs(float(mg.std(made)) / expected - 1) <= 0.02  # of 60,000 draws: 7 standard errors


def test_dir_lists_the_public_names() -> None:
    assert dir(mg) == sorted(mg.__all__)
