"""Bad calls, and what their messages teach: which argument is wrong, the value it has, and what to do.

A row is a call, the exception's class, and fragments that its message (notes not counted) must hold.
"""

from __future__ import annotations

import builtins
import copy
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import errors as e
from minigrad_layers import BatchNorm1d, BatchNorm2d, Conv2d, Dropout, LayerNorm, Linear

Row = tuple[Callable[[], Any], type[BaseException], str]  # the fragments stand apart by " | "


def m() -> mg.Tensor:
    return mg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)


def v() -> mg.Tensor:
    return mg.tensor([1.0, 2.0, 3.0], requires_grad=True)


def z(*shape: int) -> mg.Tensor:
    return mg.zeros(shape)


def ints(*values: int) -> mg.Tensor:
    return mg.tensor(list(values))


def elsewhere() -> mg.Tensor:
    """A tensor of 3 on a device that the test does not run on."""
    return mg.tensor([1.0, 2.0, 3.0], device="numpy" if v().device == "fakecupy" else "fakecupy")


def twice(y: mg.Tensor) -> None:
    y.backward()
    y.backward()


def write(x: Any, index: Any, value: Any) -> None:
    x[index] = value


ROWS: dict[str, Row] = {
    # ---- shapes
    "broadcast": (lambda: m() + z(2, 4), e.ShapeError, "add | a (2, 3) | b (2, 4) | reshape one | x[:, None]"),
    "maximum": (lambda: mg.maximum(m(), z(4, 3)), e.ShapeError, "maximum | (2, 3) | (4, 3) | equal or one of them 1"),
    "matmul": (lambda: m() @ z(2, 3), e.ShapeError, "matmul | (2, 3) | last axis of a (3) | transpose"),
    "matmul of vectors": (lambda: z(3) @ z(4), e.ShapeError, "matmul | last axis of a (3) | of b (4) | must be equal"),
    "matmul by a number": (lambda: mg.tensor(1.0) @ m(), e.ShapeError, "matmul | () and (2, 3) | use *"),
    "matmul of batches": (
        lambda: mg.matmul(z(2, 3, 4), z(3, 4, 5)),
        e.ShapeError,
        "matmul | (2, 3, 4) | (3, 4, 5) | must be equal or 1",
    ),
    "reshape": (lambda: m().reshape(4, 2), e.ShapeError, "reshape | (2, 3) | 6 elements | (4, 2) | multiply to 6"),
    "reshape twice -1": (lambda: m().reshape(-1, -1), e.ShapeError, "(-1, -1) | one of them may be -1"),
    "broadcast_to": (lambda: mg.broadcast_to(m(), (2, 4)), e.ShapeError, "(2, 3) | (2, 4) | equal or 1"),
    "concat": (lambda: mg.concat([m(), z(2, 4)], 0), e.ShapeError, "concat | (2, 3), (2, 4) | equal but for axis 0"),
    "concat of nothing": (lambda: mg.concat([]), e.ShapeError, "concat | no arrays | at least one"),
    "stack": (lambda: mg.stack([z(2), z(3)]), e.ShapeError, "stack | (2,), (3,) | must be equal"),
    "split": (lambda: mg.split(m(), 5), e.ShapeError, "sections=5 | (2, 3) | positions of the cuts"),
    "squeeze": (lambda: mg.squeeze(m(), 0), e.ShapeError, "squeeze | axis 0 | (2, 3) | size 1"),
    "einsum": (lambda: mg.einsum("ij,jk->ik", m(), m()), e.ShapeError, "'ij,jk->ik' | 'j' | 3 and 2"),
    "inv": (lambda: mg.linalg.inv(m()), e.ShapeError, "inv | (2, 3) | last two sizes must be equal"),
    "conv2d channels": (
        lambda: mg.conv2d(z(1, 3, 8, 8), z(4, 2, 3, 3)),
        e.ShapeError,
        "conv2d | 3 channels | weight takes 2 | do not fit",
    ),
    "conv2d axes": (lambda: mg.conv2d(z(3, 8, 8), z(4, 3, 3)), e.ShapeError, "x (3, 8, 8) | must be (n, c, h, w)"),
    "conv2d window": (lambda: mg.conv2d(z(1, 3, 2, 2), z(4, 3, 3, 3)), e.ShapeError, "2 elements | size 3 | pad"),
    "conv2d stride": (
        lambda: mg.conv2d(z(1, 1, 4, 4), z(1, 1, 3, 3), stride=0),
        e.ArgumentError,
        "stride: 0 | of at least 1",
    ),
    "cross entropy, labels": (
        lambda: mg.losses.cross_entropy(z(4, 3), ints(0, 1)),
        e.ShapeError,
        "cross_entropy | target has shape (2,) | must have (4,)",
    ),
    "cross entropy, dtype": (
        lambda: mg.losses.cross_entropy(z(4, 3), z(4)),
        e.DtypeError,
        "cross_entropy | target | float64 | astype('int64')",
    ),
    "mse": (lambda: mg.losses.mse(z(3), z(4)), e.ShapeError, "mse | target | (4,) | (3,) | must be equal"),
    "batch norm of one": (
        lambda: BatchNorm1d(3)(z(1, 3)),
        e.ShapeError,
        "BatchNorm1d | (1, 3) | 1 value per channel | drop_last | eval()",
    ),
    "batch norm channels": (
        lambda: BatchNorm2d(3)(z(2, 4, 2, 2)),
        e.ShapeError,
        "(2, 4, 2, 2) | (n, c, h, w) | num_features = 3",
    ),
    "layer norm": (lambda: LayerNorm(4)(m()), e.ShapeError, "(2, 3) | normalized_shape=4 | axis -1"),
    "linear": (lambda: Linear(4, 2)(m()), e.ShapeError, "(2, 3) | in_features=4 | flatten or permute"),
    "conv layer": (lambda: Conv2d(3, 4, 3)(z(1, 2, 8, 8)), e.ShapeError, "(1, 2, 8, 8) | in_channels = 3"),
    "mean of nothing": (lambda: mg.mean(z(0)), e.ShapeError, "mean | (0,) | no elements"),
    "max of nothing": (lambda: mg.max(z(2, 0), axis=1), e.ShapeError, "max | (2, 0) | axis 1"),
    "ragged": (lambda: mg.tensor([[1.0], [1.0, 2.0]]), e.ShapeError, "data | rows of one length"),
    "new data, shape": (lambda: setattr(v(), "data", [1.0]), e.ShapeError, "data | (1,) | (3,) | must be equal"),
    "new grad, shape": (lambda: setattr(v(), "grad", [1.0]), e.ShapeError, "grad | (3,) | (1,)"),
    # ---- dtypes and things that are no arrays
    "integers require no grad": (
        lambda: mg.tensor([1, 2], requires_grad=True),
        e.DtypeError,
        "requires_grad | int64 | astype('float64')",
    ),
    "nor later": (lambda: setattr(ints(1), "requires_grad", True), e.DtypeError, "requires_grad | int64 | astype"),
    "grad of an integer": (lambda: mg.grad(lambda x: x * x)(2), e.DtypeError, "argument 0 | int64 | write 2.0 for 2"),
    "strings": (lambda: mg.tensor(["a", "b"]), e.DtypeError, "data | <U1 | only numbers | category"),
    "None as data": (lambda: mg.tensor([None]), e.DtypeError, "data | object | only numbers"),
    "complex": (lambda: mg.tensor([1j]), e.DtypeError, "data | complex128 | floats, integers and booleans"),
    "new data, dtype": (
        lambda: setattr(v(), "data", mg.zeros(3, dtype="float32")),
        e.DtypeError,
        "data | float32 | float64 | astype",
    ),
    "list to exp": (lambda: mg.exp([1.0]), e.UnknownArrayError, "exp | 'x' is a list | minigrad.tensor"),
    "list to sum": (lambda: mg.sum([1.0]), e.UnknownArrayError, "sum | list | minigrad.tensor"),
    "list to *": (lambda: m() * [1.0], e.UnknownArrayError, "multiply | 'b' is a list | minigrad.tensor"),
    "string to *": (lambda: "a" * m(), e.UnknownArrayError, "multiply | 'a' is a str | minigrad.tensor"),
    "None to +": (lambda: m() + None, e.UnknownArrayError, "add | 'b' is None | arrays and numbers"),
    "one hot": (lambda: mg.one_hot(z(3), 2), e.ArgumentError, "labels | float64 | integers"),
    "float as index": (lambda: range(3)[mg.tensor(1.0)], e.DtypeError, "integer tensor | float64"),
    "float index": (lambda: m()[1.5], e.ArgumentTypeError, "getitem | 1.5 | integers, slices"),
    # ---- devices
    "two devices": (lambda: v() + elsewhere(), e.DeviceError, "add | 'a' on | 'b' on | 'fakecupy' | .to(device)"),
    "three operands": (
        lambda: mg.where(v() > 1, elsewhere(), v()),
        e.DeviceError,
        "where | argument 'a' on | 'condition' on | x.to(device)",
    ),
    "new data, device": (lambda: setattr(v(), "data", elsewhere()), e.DeviceError, "data | 'fakecupy' | .to()"),
    "unknown device": (lambda: mg.tensor([1.0], device="tpu"), e.DeviceError, "'tpu' | there are numpy, cupy"),
    "to an unknown one": (lambda: m().to("gpu"), e.DeviceError, "'gpu' | there are numpy, cupy"),
    "use_device": (lambda: mg.use_device("cuda"), e.DeviceError, "'cuda' | there are numpy, cupy"),
    "no such number": (lambda: mg.tensor([1.0], device="numpy:1"), e.DeviceError, "device='numpy:1' | use 'numpy'"),
    # ---- axes and indices
    "axis out of range": (lambda: m().sum(axis=2), e.AxisError, "sum | axis 2 | (2, 3) | -2 to 1"),
    "negative axis": (lambda: m().mean(axis=-3), e.AxisError, "mean | axis -3 | (2, 3) | -2 to 1"),
    "axis twice": (lambda: m().sum(axis=(0, -2)), e.AxisError, "sum | (0, -2) | twice | (2, 3)"),
    "axis a float": (lambda: m().sum(axis=1.0), e.ArgumentTypeError, "sum | axis=1.0 | an integer or a sequence"),
    "axis a bool": (lambda: m().sum(axis=True), e.ArgumentTypeError, "sum | axis=True | an integer | bool"),
    "axis a string": (lambda: m().sum(axis="rows"), e.ArgumentTypeError, "sum | axis='rows' | an integer | str"),
    "softmax": (lambda: mg.softmax(m(), axis=5), e.AxisError, "softmax | axis 5 | -2 to 1"),
    "concat, axis": (lambda: mg.concat([m(), m()], axis=2), e.AxisError, "concat | axis 2 | -2 to 1"),
    "argmax": (lambda: mg.argmax(m(), axis=7), e.AxisError, "argmax | axis 7 | -2 to 1"),
    "permute_dims": (lambda: mg.permute_dims(m(), (0, 0)), e.AxisError, "(0, 0) | each of the 2 axes"),
    "expand_dims": (lambda: mg.expand_dims(m(), 5), e.AxisError, "expand_dims | axis 5 | -3 to 2"),
    "index": (lambda: m()[5], IndexError, "index 5 | axis 0 | size 2"),
    "index array": (lambda: m()[ints(0, 9)].numpy(), IndexError, "index 9 | axis 0 | size 2"),
    "take": (lambda: mg.take(v(), ints(7)).numpy(), IndexError, "index 7 | axis 0 | size 3"),
    # ---- graphs
    "freed": (lambda: twice((v() * v()).sum()), e.GraphFreedError, "'sum' | earlier backward | retain_graph=True"),
    "not a scalar": (lambda: (v() * 2).backward(), e.ShapeError, "gradient | (3,) | gradient= | .sum()"),
    "cotangent": (lambda: (v() * 2).backward(z(4)), e.ShapeError, "gradient | (4,) | (3,) | must be equal"),
    "cotangent of gradients": (
        lambda: mg.gradients((x := v()).sum(), [x], cotangent=z(2)),
        e.ShapeError,
        "cotangent | (2,) | () | must be equal",
    ),
    "untracked": (lambda: z(1).backward(), e.GraphError, "backward | requires_grad=True | no_grad"),
    "untracked y": (lambda: mg.gradients(z(1), [v()]), e.GraphError, "y: | requires_grad=True"),
    "untracked x": (lambda: mg.gradients(v().sum(), [z(1)]), e.GraphError, "xs[0] | requires_grad=True"),
    "unused x": (lambda: mg.gradients(v().sum(), [v()]), e.GraphError, "xs[0] | does not depend | allow_unused=True"),
    "xs no sequence": (lambda: mg.gradients((x := v()).sum(), x), e.ArgumentTypeError, "xs | gradients(y, [x])"),
    "grad of a vector": (lambda: mg.grad(lambda x: x * x)(v()), e.ShapeError, "(3,) | jacobian or vjp | .sum()"),
    "no tensor returned": (lambda: mg.grad(lambda x: 3.0)(2.0), e.ArgumentTypeError, "must return a Tensor | float"),
    "argnums": (lambda: mg.grad(lambda x: x, argnums=1)(2.0), e.ArgumentTypeError, "argnums=1 | 1 positional"),
    "tangents": (lambda: mg.jvp(lambda x: x, [1.0], [z(2)]), e.ShapeError, "tangents | (2,) | primals"),
    "not a leaf": (lambda: setattr(v() * 2, "requires_grad", False), e.GraphError, "requires_grad | leaf | .detach()"),
    "new data, no leaf": (lambda: setattr(v() * 2, "data", z(3)), e.GraphError, "data | leaves | .detach()"),
    "grad of no leaf": (lambda: setattr(z(2), "grad", z(2)), e.GraphError, "grad | leaf | requires_grad = True"),
    "deepcopy": (lambda: copy.deepcopy(v() * 2), e.GraphError, "deepcopy | leaves | .detach()"),
    # ---- names
    "layer": (lambda: mg.layer("BatchNrom2d", 3), e.UnknownLayerError, "'BatchNrom2d' | 'BatchNorm2d'"),
    "no such layer": (lambda: mg.layer("Xyzzy"), e.UnknownLayerError, "'Xyzzy' | AdaLayerNorm | minigrad layers"),
    "misspelt": (lambda: mg.matmull, e.UnknownFunctionError, "'matmull' | mg.matmul?"),
    "nothing like it": (lambda: mg.zzzz, e.UnknownFunctionError, "'zzzz' | dir(minigrad)"),
    # ---- what a tensor does not do
    "write": (lambda: write(m(), 0, 1.0), TypeError, "never written in place | minigrad.where | x.data = array"),
    "write to data": (lambda: write(m().data, 0, 1.0), ValueError, "read-only | held by a graph"),
    "len": (lambda: len(mg.tensor(1.0)), TypeError, "len() | 0-d | .item()"),
    "iteration": (lambda: list(mg.tensor(1.0)), TypeError, "iteration | 0-d | .item()"),
    "bool": (lambda: bool(m()), e.ShapeError, "truth | (2, 3) | .any() or .all()"),
    "float": (lambda: float(m()), e.ShapeError, "(2, 3) | exactly one | .tolist()"),
    "copy": (lambda: copy.copy(m()), TypeError, "copying | .detach()"),
    "pickle": (lambda: m().__reduce__(), TypeError, "not pickled | minigrad.save"),
    "numpy's sum": (lambda: np.sum(m()), TypeError, "numpy.sum | use mg.sum | .numpy()"),
    "numpy's concatenate": (lambda: np.concatenate([m(), m()]), TypeError, "use mg.concat | .numpy()"),
    "numpy's exp": (lambda: np.exp(m()), TypeError, "Tensor | ufunc"),  # NumPy's own words
    # ---- arguments out of their range
    "no parameters": (lambda: mg.optim.SGD([]), e.ArgumentError, "params | used up"),
    "lr": (lambda: mg.optim.SGD([v()], lr=-1), e.ArgumentError, "lr: -1 | at least 0"),
    "lr a string": (lambda: mg.optim.Adam([v()], lr="fast"), e.ArgumentError, "lr: 'fast' | number"),
    "parameter twice": (lambda: mg.optim.SGD([x := v(), x]), e.ArgumentError, "params | (3,) | twice"),
    "computed parameter": (lambda: mg.optim.SGD([v() * 2]), e.DtypeError, "params | computed | leaves"),
    "integer parameter": (lambda: mg.optim.SGD([ints(1)]), e.DtypeError, "params | int64 | floating"),
    "unknown option": (lambda: mg.optim.SGD([{"params": [v()], "lrr": 1}]), e.ArgumentError, "'lrr' | 'lr'"),
    "nesterov": (lambda: mg.optim.SGD([v()], nesterov=True), e.ArgumentError, "nesterov | momentum must be above 0"),
    "momentum of SGD": (lambda: mg.optim.SGD([v()], momentum=-0.5), e.ArgumentError, "momentum: -0.5 | at least 0"),
    "betas": (lambda: mg.optim.Adam([v()], betas=(0.9, 1.0)), e.ArgumentError, "betas[1]: 1.0 | below 1"),
    "eps of Adam": (lambda: mg.optim.Adam([v()], eps=-1), e.ArgumentError, "eps: -1 | at least 0"),
    "p above 1": (lambda: Dropout(1.5), e.ArgumentError, "p=1.5 | from 0 to 1"),
    "p NaN": (lambda: Dropout(float("nan")), e.ArgumentError, "p=nan | from 0 to 1"),
    "p a string": (lambda: Dropout("0.5"), e.ArgumentError, "p='0.5' | must be a number"),
    "eps 0": (lambda: BatchNorm1d(3, eps=0.0), e.ArgumentError, "eps: 0.0 | above 0 | 1e-5"),
    "eps negative": (lambda: LayerNorm(3, eps=-1e-5), e.ArgumentError, "eps: -1e-05 | above 0 | 1e-5"),
    "momentum": (lambda: BatchNorm1d(3, momentum=2.0), e.ArgumentError, "momentum: 2.0 | from 0 to 1 | None"),
    "momentum and decay": (
        lambda: BatchNorm1d(3, momentum=0.5, decay=0.5),
        e.ArgumentError,
        "decay=0.5 | momentum=0.5 | give one",
    ),
    "features": (lambda: Linear(0, 2), e.ArgumentError, "in_features=0 | at least 1"),
    "correction": (lambda: mg.var(z(1), correction=1), e.ArgumentError, "var | correction=1 | (1,) | degrees"),
    "topk": (lambda: mg.topk(v(), 5), e.ArgumentError, "topk | k=5 | 0 to 3"),
    "seed": (lambda: mg.random.seed("a"), e.ArgumentError, "'a' | integer from 0"),
}  # fmt: skip
EITHER = {"write to data"}  # NumPy's own words, or those of the stand-in
HOST = {"write to data"}  # CuPy has no flag that refuses


def lacking(row: Row, words: Callable[[list[bool]], bool] = builtins.all) -> str:
    """What is wrong with the answer to a bad call, "" if nothing."""
    call, kind, fragments = row
    try:
        result = call()
    except kind as problem:
        text = str(problem)
        missing = [f for f in fragments.split(" | ") if f not in text]
        return "" if words([f in text for f in fragments.split(" | ")]) else f"{missing} not in {text!r}"
    except Exception as problem:  # that it is another is the finding
        return f"{type(problem).__name__} in place of {kind.__name__}: {problem}"
    return f"no error but {result!r}"


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_call_is_answered_with_what_to_do(name: str, backend: str) -> None:
    if name in HOST and backend == "cupy":
        pytest.skip("CuPy has no read-only flag; X1 documents that .data is not to be written")
    assert lacking(ROWS[name], builtins.any if name in EITHER else builtins.all) == ""


def test_the_table_is_long_and_can_fail() -> None:
    assert len(ROWS) >= 100
    call, _, _ = ROWS["broadcast"]
    assert "not in" in lacking((call, e.ShapeError, "add | a remedy that is not there"))
    assert "in place of" in lacking((call, e.DtypeError, "add"))
    assert "no error" in lacking((lambda: 1, e.ShapeError, ""))


@pytest.mark.skipif(find_spec("cupy") is not None, reason="CuPy is installed here")
@pytest.mark.parametrize("call", [lambda: mg.tensor([1.0], device="cupy"), lambda: v().to("cupy:0")])
def test_without_cupy(call: Callable[[], Any]) -> None:
    assert lacking((call, e.BackendUnavailable, 'CuPy | pip install cupy-cuda | device="numpy" | fakecupy')) == ""


def test_a_failing_layer_names_itself_and_the_operation() -> None:
    with pytest.raises(e.ShapeError) as caught:
        Conv2d(1, 1, 5)(z(1, 1, 3, 3))
    notes = "\n".join(caught.value.__notes__)
    assert "in the layer Conv2d(1, 1" in notes
    assert "in minigrad.windows with argument 'x': float64 (1, 1, 3, 3)" in notes or "float32" in notes
