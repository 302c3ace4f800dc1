"""What every layer promises, one function for each: it looks at a trial and says in a line what it saw, or raises.

None of them knows a layer. What a message says is meant for whoever wrote the layer: what differs, by how much, and
what to write in its place.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.check.differences import adjoint, gradients
from minigrad.check.forms import forms
from minigrad.check.leaks import leaks
from minigrad.check.points import flat
from minigrad.check.trial import Trial, as_now, begin
from minigrad.core import Tensor, tensor
from minigrad.core import gradients as sweep
from minigrad.core.modes import use_device
from minigrad.errors import MinigradError
from minigrad.graph import Graph, program, trace
from minigrad.module import stand_in
from minigrad.ops.creation import zeros_like
from minigrad.ops.shape import swapaxes
from minigrad.saving import load, save
from minigrad.transforms.recompute import remat
from minigrad.transforms.structures import leaves, mapped

BOUNDS = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-12}


def values(trial: Trial) -> str:
    """Finite floats, the same again for the same input, and nothing that was given is changed."""
    inputs = trial.tensors()
    before = [t.numpy() for t in leaves(inputs)]
    runs = []
    for _ in range(2):
        with as_now(trial.layer):
            runs.append([t.numpy() for t in trial.call(trial.layer, inputs)])
    for a, b in zip(*runs, strict=True):
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            raise AssertionError(
                f"a result has {np.sum(~np.isfinite(a))} of {a.size} elements that are NaN or infinite"
            )
        if not np.array_equal(a, b):
            raise AssertionError(
                "another result for the same input and the same place of the random streams: draw from a stream of the "
                "layer's own, self.generator = mg.random.new_stream(), and from nothing else"
            )
    for a, t in zip(before, leaves(inputs), strict=True):
        if not np.array_equal(a, t.numpy()):
            raise AssertionError("forward changed its input; compute a new tensor in place of writing into it")
    return ", ".join(f"{a.dtype} {a.shape}" for a in runs[0])


def orders(trial: Trial, order: int) -> str:
    """Gradients by the rules against central differences of the order before, for every input and parameter."""
    f, floats = trial.function(), trial.floats()
    if not floats:
        return "nothing floating to differentiate"
    try:
        report = gradients(f, *floats, order=order, rtol=2e-5, atol=1e-7)
        both = adjoint(f, *floats, rtol=1e-11)
    except AssertionError as problem:
        named = ", ".join(f"input {k} is {name}" for k, name in enumerate(trial.names()) if name != f"input {k}")
        raise AssertionError(
            f"{problem}{f' ({named})' if named else ''}; a layer is a composition of minigrad's functions, so look "
            "for what was computed outside of them or was detached"
        ) from problem
    return f"to order {order}: {report.compared + both.compared} comparisons, worst {report.error:.2g} of the bound"


def textbook(trial: Trial, order: int) -> str:
    """What runs and the literature's formula are one function, and leave the same state behind."""
    steps, left = [], []
    for form in ("run", "textbook"):
        layer = trial.copy()
        with trace(layer, form=form, values=False, sources=False) as graph:
            trial.call(layer, trial.tensors(track=True))
        steps.append([(node.op, node.inputs, node.cut, repr(node.params)) for node in graph.nodes])
        places = {name: np.array(g.state) for name, g in layer.named_generators()}
        left.append({**layer.state_dict(), **places})
    run, book = left
    for name, value in run.items():
        if not _distance(book[name], value) <= 1e-9:
            raise AssertionError(f"{name} is left at {value} by forward and at {book[name]} by the textbook form")
    if steps[0] == steps[1]:
        return "forward is the textbook"
    floats = trial.floats()
    if not floats:
        return "nothing floating to differentiate"
    report = forms(trial.function(pin=False), *floats, order=order)
    return f"to order {order}: worst {report.error:.2g} of the bound"


def constants(trial: Trial) -> str:
    """No constant that was computed from the input slips back in; see `minigrad.check.leaks`."""
    seen = leaks(trial)
    return f"{seen} values looked at" if seen else "no constants"


def dtypes(trial: Trial, dtype: str) -> str:
    """The result and the gradients have the dtype of what they belong to, and are float64's to rounding."""
    rounded = mapped(trial.given, lambda a, _: a.astype(dtype).astype("float64") if a.dtype.kind == "f" else a)
    found = []
    for kind in (dtype, "float64"):
        layer = trial.copy(dtype=dtype).astype(kind)
        begin(layer)
        inputs = trial.tensors(rounded, dtype=kind, track=True)
        ys = [y for y in trial.call(layer, inputs) if y.dtype.kind == "f"]
        for k, y in enumerate(ys):
            if y.dtype != kind:
                raise AssertionError(f"result {k} is {y.dtype} for {kind} input and parameters; convert it back")
        xs = [t for t in leaves(inputs) if t.requires_grad] + [p for p in layer.parameters() if p.requires_grad]
        found.append([*ys, *_pulled(ys, xs)])
        for g, x in zip(found[-1][len(ys) :], xs, strict=True):
            if (g.dtype, g.shape) != (x.dtype, x.shape):
                raise AssertionError(f"a gradient is {g.dtype} {g.shape} for a {x.dtype} {x.shape}")
    worst = max((_distance(a.numpy(), b.numpy()) for a, b in zip(*found, strict=True)), default=0.0)
    if not worst <= BOUNDS[dtype]:
        raise AssertionError(
            f"values or gradients are off by {worst:.2g} of the largest element, allowed is {BOUNDS[dtype]:g}; "
            "compute statistics in float32 at least, mg.astype(x, 'float32')"
        )
    return f"off by {worst:.1g}"


def evaluation(trial: Trial) -> str:
    """In evaluation a call leaves the layer as it is: no buffer moves, no random number is drawn."""
    layer, inputs = trial.copy(), trial.tensors()
    state, streams = layer.state_dict(), [g.state for _, g in layer.named_generators()]
    first, second = ([t.numpy() for t in trial.call(layer, inputs)] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        if not np.array_equal(a, b):
            raise AssertionError("two calls on one input differ; what is random or moves belongs under self.training")
    for name, value in layer.state_dict().items():
        if not np.array_equal(value, state[name], equal_nan=True):
            raise AssertionError(f"a call moved {name}; move statistics only if self.training")
    if [g.state for _, g in layer.named_generators()] != streams:
        raise AssertionError("a call drew random numbers; draw them only if self.training")
    return ""


def state(trial: Trial) -> str:
    """State dict, file and copy give a layer that computes the same bit for bit, in training and in evaluation."""
    layer = trial.copy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.safetensors"
        save(path, model=layer)
        by_dict, by_file = (trial.make().astype("float64") for _ in range(2))
        by_dict.load_state_dict(layer.state_dict())
        load(path, model=by_file)
    for how, twin in (("load_state_dict", by_dict), ("load", by_file), ("copy.deepcopy", deepcopy(layer))):
        for training in (True, False):
            pair = [deepcopy(m).train(training) for m in (layer, twin)]
            for _ in range(2):
                for m in pair:
                    begin(m)
                one, two = ([t.numpy() for t in trial.call(m, trial.tensors())] for m in pair)
                if not all(np.array_equal(a, b) for a, b in zip(one, two, strict=True)):
                    raise AssertionError(
                        f"after {how} it computes something else; keep what is learnt in mg.Parameter and what is kept "
                        "in mg.Buffer, as attributes, and make the rest from the constructor's arguments"
                    )
    kept = layer.state_dict()
    return f"{len(kept)} tensors" if kept else "none"


def backends(trial: Trial, name: str) -> str:
    """Values, gradients and masks on a backend are those on NumPy."""
    found = []
    for device in ("numpy", name):
        layer, inputs = trial.copy(device=device), trial.tensors(device=device, track=True)
        ys = trial.call(layer, inputs)
        floats = [y for y in ys if y.dtype.kind == "f"]
        xs = [t for t in leaves(inputs) if t.requires_grad] + [p for p in layer.parameters() if p.requires_grad]
        found.append([*ys, *_pulled(floats, xs), *layer.buffers()])
    worst = max((_distance(b.numpy(), a.numpy()) for a, b in zip(*found, strict=True)), default=0.0)
    if not worst <= 1e-11:
        raise AssertionError(f"values, gradients or state differ from NumPy's by {worst:.2g}; is a mask another one?")
    return f"off by {worst:.1g}"


def batches(trial: Trial) -> str:
    """A batch of one, of an odd number and of none: a result, or an error of minigrad's that says why there is none."""
    axis = trial.sample.batch
    arrays = [a for a in leaves(trial.given) if axis is not None and a.ndim > axis]
    if not arrays:
        return "no axis of examples"
    size, done = arrays[0].shape[axis], []
    for n in (1, 3, 0):

        def resized(a: Any, where: str, n: int = n) -> Any:
            if axis is None or a.ndim <= axis or a.shape[axis] != size:
                return a
            return np.take(a, np.arange(n) % max(size, 1), axis=axis)

        given = mapped(trial.given, resized)
        try:
            with as_now(trial.layer):
                ys = trial.call(trial.layer, trial.tensors(given))
        except MinigradError as problem:
            done.append(f"{n}: {type(problem).__name__}")
            continue
        for y in ys:
            if not np.isfinite(y.numpy()).all():
                raise AssertionError(f"a batch of {n} gives NaN or infinity; give a result or raise ShapeError")
        done.append(f"{n}: {ys[0].shape if ys else ()}")
    return ", ".join(done)


def layouts(trial: Trial) -> str:
    """An input that lies in memory in another order gives the same."""
    seen = False

    def turned(t: Tensor) -> Tensor:
        nonlocal seen
        if t.ndim < 2:
            return t
        seen = True
        return swapaxes(tensor(np.ascontiguousarray(np.swapaxes(t.numpy(), 0, -1)), dtype=t.dtype), 0, -1)

    with as_now(trial.layer):
        one = trial.call(trial.layer, trial.tensors())
    with as_now(trial.layer):
        two = trial.call(trial.layer, mapped(trial.tensors(), lambda t, _: turned(t)))
    worst = max((_distance(b.numpy(), a.numpy()) for a, b in zip(one, two, strict=True)), default=0.0)
    if not worst <= 1e-12:
        raise AssertionError(f"an input whose memory is ordered otherwise gives a result that is off by {worst:.2g}")
    return f"off by {worst:.1g}" if seen else "no input of two axes"


def rematerialised(trial: Trial) -> str:
    """Under `remat`, which runs the layer again in the backward pass, gradients and state are the same bit for bit.

    Where a layer has several results, the second run begins with the cotangents of all, so sums are in another order.
    """
    found, several = [], False
    for wrap in (lambda m: m, remat):
        layer, inputs = trial.copy(), trial.tensors(track=True)
        args, keywords = inputs
        ys = [y for y in leaves(wrap(layer)(*args, **keywords)) if y.dtype.kind == "f"]
        xs = [t for t in leaves(inputs) if t.requires_grad] + [p for p in layer.parameters() if p.requires_grad]
        found.append([*_pulled(ys, xs), *layer.buffers()])
        several = len(ys) > 1
    for a, b in zip(*found, strict=True):
        same = np.array_equal(a.numpy(), b.numpy(), equal_nan=True)
        if not same and not (several and _distance(a.numpy(), b.numpy()) <= 1e-13):
            raise AssertionError("mg.remat gives another gradient or state; draw and keep only through minigrad")
    return "equal"


def recorded(trial: Trial) -> str:
    """A step, forward and backward, runs on arrays without values, so that it can be compiled; the record computes what
    the run did, state included.
    """
    with use_device("numpy"):  # a program is recorded without a device; here it runs on the host
        return _recorded(trial)


def _recorded(trial: Trial) -> str:
    layer = trial.copy(device="numpy")
    params = {name: p for name, p in layer.named_parameters() if p.requires_grad}
    buffers = dict(layer.named_buffers())
    given = list(leaves(trial.tensors(track=True)))
    with as_now(layer):
        weights = [_weights(y) for y in trial.call(layer, trial.tensors()) if y.dtype.kind == "f"]

    def step(*tensors: Tensor) -> list[Tensor]:
        following = iter(tensors)
        args, keywords = mapped(trial.given, lambda a, _: next(following))
        by = [next(following) for _ in weights]
        with as_now(layer), stand_in(layer, dict(zip([*params, *buffers], following, strict=True))) as stands:
            ys = list(leaves(layer(*args, **keywords)))
            xs = [t for t in tensors if t.requires_grad]
            return [
                *ys,
                *_pulled([y for y in ys if y.dtype.kind == "f"], xs, by),
                *(stands[name].detach() for name in buffers),
            ]

    inputs = [
        *given,
        *weights,
        *(tensor(p, requires_grad=True) for p in params.values()),
        *(b.detach() for b in buffers.values()),
    ]
    real = step(*inputs)
    try:
        record = program(step, *inputs)
    except MinigradError as problem:
        raise AssertionError(
            f"{problem}; a layer may look at shapes and dtypes, never at values, and computes with mg's functions only"
        ) from problem
    made = record.run(*(t.numpy() for t in inputs), *record.read())
    for a, b in zip(made[: len(real)], real, strict=True):
        if not np.array_equal(np.asarray(a), b.numpy(), equal_nan=True):
            raise AssertionError(
                "run again from its record, the layer computes something else: a value was frozen into it"
            )
    return f"{len(record.steps)} primitives"


def drawn(trial: Trial) -> str:
    """Forward and backward are drawn, folded and opened, and the graph survives JSON."""
    layer, inputs = trial.copy(), trial.tensors(track=True)
    with trace(layer) as graph:
        ys = [y for y in trial.call(layer, inputs) if y.requires_grad]
        if ys:
            total = ys[0].sum()
            for y in ys[1:]:
                total = total + y.sum()
            total.backward()
    for depth in (0, 1, 9):
        text = graph.dot(depth=depth, passes="both" if ys else "forward").source
        if re.search(r"\b0x[0-9a-f]{6,}", text):
            raise AssertionError("the drawing shows the address of an object; give it a repr")
    if Graph.from_json(graph.to_json()).to_json() != graph.to_json():
        raise AssertionError("the graph read back from JSON is another one")
    return f"{len(graph.nodes)} nodes"


def shown(trial: Trial) -> str:
    """Its repr names the class and is the same in every run."""
    text = repr(trial.layer)
    if not text.startswith(type(trial.layer).__name__):
        raise AssertionError(f"repr is {text.splitlines()[0]!r}; leave __repr__ alone and define extra_repr")
    if re.search(r"\b0x[0-9a-f]{6,}", text):
        raise AssertionError(f"repr shows the address of an object: {text}; define extra_repr without it")
    return text.splitlines()[0]


def _weights(y: Tensor) -> Tensor:
    """A cotangent for a result that is the same in every run and on every backend: cos(0), cos(1), …"""
    return tensor(np.cos(np.arange(y.size)).reshape(y.shape), dtype=y.dtype, device=y.device)


def _pulled(ys: Sequence[Tensor], xs: Sequence[Tensor], weights: Sequence[Tensor] | None = None) -> list[Tensor]:
    """Gradients of the weighted sum of ys; zeros where it does not depend on an x."""
    total: Any = None
    for k, y in enumerate(ys):
        if y.requires_grad:
            part = (y * (weights[k] if weights is not None else _weights(y))).sum()
            total = part if total is None else total + part
    found = [None] * len(xs) if total is None or not xs else sweep(total, xs, allow_unused=True)
    return [zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True)]


def _distance(a: Any, b: Any) -> float:
    """The largest difference, relative to the largest element of b or to 1; infinite where only one is finite."""
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    x, y = (flat([np.where(np.isfinite(v), v, 0)]) for v in (a, b))
    return float(np.abs(x - y).max(initial=0) / max(1.0, float(np.abs(y).max(initial=0))))
