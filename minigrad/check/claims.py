"""Claims: a backward pass that somebody derived by hand, against the chain rule, to any order.

A closed form is written as rules are: its argument names are the contract. `g` is the cotangent of the result, `y` the
result; every other name is an input of `forward`, a parameter, a buffer or another attribute of the layer (`eps`,
`num_groups`). It is written in minigrad's functions, so that it can itself be differentiated, and gives a dict with one
cotangent for each input that it claims. Where it is wrong, the gradient is split into its routes (`Graph.routes`), and
the message says which of them the claim lacks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad.check.layers import declared, maker
from minigrad.check.points import pulled
from minigrad.check.report import CheckError, Report
from minigrad.check.trial import Array, Trial, as_now
from minigrad.core import Tensor, tensor
from minigrad.core import gradients as sweep
from minigrad.errors import ArgumentError, MinigradError
from minigrad.graph import trace
from minigrad.module import CLOSED_FORMS, Module, Sample, stand_in
from minigrad.transforms.structures import mapped

ROUTES = ("mean", "var")
RTOL = 1e-9
FAR, ROWS, BOUND = 1e6, 16, 0.2  # the check in float32: offset, rows, and what is allowed


class _Called(Module):
    """A function as a module without parameters."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        return self.function(*args, **kwargs)


def claim(
    layer: type[Module] | str | Module | Callable[..., Any],
    closed_form: Callable[..., Any] | None = None,
    *,
    order: int = 3,
    samples: Sequence[Sample] | None = None,
    seed: int = 0,
) -> Report:
    """Compare a hand-derived backward pass with the chain rule, at orders 1 to `order`, and in float32 far from 0.

    Order 1 compares the cotangents themselves, order k the derivatives of the order before with respect to everything,
    `g` included. In float32 sixteen rows at an offset of 1e6 may be off by 0.2 of the largest element, where formulas
    that cancel, such as E[x²] - E[x]² for a variance, are off by far more.

    Args:
        layer: a layer's class, its name, a module, or a function of tensors such as a loss.
        closed_form: see above; by default the one that is registered for the layer (`minigrad.closed_form`).
        order: how often to differentiate.
        samples: on which inputs; by default the layer's own, or those of the registration.
        seed: of the values.

    Raises:
        CheckError: the two differ; the message names the input and the order, and at order 1 the route that is missing
            or wrong, or the parameter that was forgotten.
        ArgumentError: a closed form that asks for a name that there is not, or claims an input that is none.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import LayerNorm
        >>> mg.check.claim(LayerNorm).what
        'the closed form layer_norm_backward of LayerNorm to order 3'
        >>> def forgets_the_mean(g, x, weight, eps):
        ...     scale = mg.rsqrt(mg.var(x, axis=-1, keepdims=True) + eps)
        ...     x_hat = (x - mg.mean(x, axis=-1, keepdims=True)) * scale
        ...     g = g * weight
        ...     return {"x": scale * (g - x_hat * mg.mean(g * x_hat, axis=-1, keepdims=True))}
        >>> try:
        ...     mg.check.claim(LayerNorm, forgets_the_mean, samples=[mg.Sample((5,), inputs=((3, 5),))])
        ... except mg.check.CheckError as problem:
        ...     print(str(problem).partition(":")[2][:44])
         the route through mean is missing; order 1,
    """
    form, own = closed_form, None
    if form is None:
        key = declared(layer, [Sample()])[0] if isinstance(layer, (str, type, Module)) else layer
        if key not in CLOSED_FORMS:
            raise ArgumentError(
                f"closed_form: none is registered for {getattr(key, '__name__', key)}; give one, or register it with "
                "@minigrad.closed_form(…)"
            )
        form, own = CLOSED_FORMS[key]
    if isinstance(layer, (str, type, Module)):
        cls, found = declared(layer, samples if samples is not None else own)
        makers = [maker(layer, cls, s) for s in found]
        name, forward = cls.__name__, cls.forward
    else:
        found = tuple(samples or own or ())
        if not found:
            raise ArgumentError("samples: a function declares none; give samples=[mg.Sample(inputs=((2, 3),))]")
        function: Callable[..., Any] = layer
        makers, name, forward = [lambda: _Called(function)] * len(found), layer.__name__, layer
    what, compared, worst = f"the closed form {form.__name__} of {name} to order {order}", 0, 0.0
    inputs = [n for n in inspect.signature(forward).parameters if n != "self"]
    modes = (True, False) if "training" in inspect.signature(form).parameters else (True,)
    for make, sample in zip(makers, found, strict=True):
        for training in modes:
            trial = Trial(make, sample, seed).mode(training)
            case = _Case(trial, form, inputs, f"{name}({sample})")
            n, error = case.orders(order)
            far = case.far()
            compared, worst = compared + n + 1, max(worst, error, far)
    return Report(what, compared, worst, RTOL)


class _Case:
    """A claim on one sample."""

    def __init__(self, trial: Trial, form: Callable[..., Any], inputs: list[str], where: str) -> None:
        self.trial, self.form, self.where = trial, form, where
        args, keywords = trial.given
        self.given: dict[str, Any] = {**dict(zip(inputs, args, strict=False)), **keywords}
        floats = [n for n, a in self.given.items() if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        params = [n for n, p in trial.layer.named_parameters() if p.requires_grad]
        self.names = [*floats, *params]  # of what `Trial.function` takes
        self.asked = list(inspect.signature(form).parameters)
        self.claimed: list[str] = []

    def claims(self, f: Callable[..., list[Tensor]]) -> Callable[..., list[Tensor]]:
        """The closed form as a function of what `f` takes and of g."""

        def level(*args: Tensor) -> list[Tensor]:
            *xs, g = args
            known = dict(zip(self.names, xs, strict=True))
            made = self.form(**{n: self.value(n, known, g, lambda: f(*xs)[0]) for n in self.asked})
            if not isinstance(made, Mapping):
                raise ArgumentError(
                    f"{self.form.__name__}: it gives a {type(made).__name__}; give a dict of input names to cotangents,"
                    ' such as {"x": …, "weight": …}'
                )
            made = {n: c for n, c in made.items() if not (n not in self.names and self.absent(n))}
            for n in made:
                if n not in self.names:
                    raise ArgumentError(
                        f"{self.form.__name__}: it claims {n!r}, which is no floating input or parameter; there are "
                        f"{', '.join(self.names)}"
                    )
            self.claimed = list(made)
            return list(made.values())

        return level

    def absent(self, name: str) -> bool:
        """Whether the layer has this, but not here: no affine parameters, say."""
        return hasattr(self.trial.layer, name) and getattr(self.trial.layer, name) is None

    def value(self, name: str, known: Mapping[str, Tensor], g: Tensor, y: Callable[[], Tensor]) -> Any:
        """What the closed form is given under a name."""
        if name in ("g", "y"):
            return g if name == "g" else y()
        if name in known:
            return known[name]
        if name in self.given:
            return mapped(self.given[name], lambda a, _: tensor(a, dtype=g.dtype if a.dtype.kind == "f" else None))
        try:
            return getattr(self.trial.layer, name)
        except AttributeError:
            raise ArgumentError(
                f"{self.form.__name__}: it asks for {name!r}; there are g, y, the inputs and parameters "
                f"{', '.join(self.names)}, and the layer's attributes"
            ) from None

    def orders(self, order: int) -> tuple[int, float]:
        """How often it was compared, and the worst error of what is allowed."""
        f, rng = self.trial.function(), self.trial.rng
        floats = self.trial.floats()
        (y,) = f(*map(tensor, floats))
        claims = self.claims(f)
        first = pulled(f, len(floats))

        def truth(*args: Tensor) -> list[Tensor]:
            found = dict(zip(self.names, first(*args), strict=True))
            return [found[n] for n in self.claimed]

        levels: list[Callable[..., list[Tensor]]] = [claims, truth]
        args, compared, worst = [*floats, rng.standard_normal(y.shape)], 0, 0.0
        for k in range(1, order + 1):
            said, right = (level(*map(tensor, args)) for level in levels)
            for j, (a, b) in enumerate(zip(said, right, strict=True)):
                error = _error(a, b) / RTOL
                compared, worst = compared + b.size, max(worst, error)
                if not error <= 1:
                    self.refuse(k, j, a, b, args, compared)
            n = len(args)
            args += [rng.standard_normal(t.shape) for t in right]
            levels = [pulled(level, n) for level in levels]
        return compared, worst

    def refuse(self, order: int, j: int, said: Tensor, right: Tensor, args: list[Array], compared: int) -> None:
        """Say what is wrong."""
        place = int(np.argmax(np.abs(said.numpy() - right.numpy()))) if said.shape == right.shape else 0
        if said.shape != right.shape:
            numbers = f"has shape {said.shape}, not {right.shape}"
        else:
            index = tuple(int(i) for i in np.unravel_index(place, right.shape))
            numbers = f"is {said.numpy()[index]:.6g} at {list(index)}, by the chain rule {right.numpy()[index]:.6g}"
        if order == 1:
            name = self.claimed[j]
            why = self.explain(name, said, right, args) if said.shape == right.shape else ""
            text = f"{why}{'; ' if why else ''}order 1, the gradient of {name} {numbers}"
        else:
            text = (
                f"order {order}, a derivative of the gradient {numbers}, though every lower order holds; something in "
                "the closed form is a constant to whoever differentiates it"
            )
        report = Report(f"the closed form {self.form.__name__}", compared, _error(said, right) / RTOL, RTOL)
        raise CheckError(f"{self.form.__name__} of {self.where}: {text}", report)

    def explain(self, name: str, said: Tensor, right: Tensor, args: list[Array]) -> str:
        """Which routes are missing or scaled, or which parameter was forgotten; "" if neither explains it."""
        for k, other in enumerate(self.names):
            if other != name and other in self.asked_or_parameters():
                ones = [np.ones_like(a) if i == k else a for i, a in enumerate(args)]
                if _error(said, self.gradient(name, ones)) <= RTOL:
                    return f"{other} is forgotten: it is right for a {other} of ones"
        parts = self.routes(name, args)
        if not parts:
            return ""
        basis = np.stack([p.reshape(-1) for p in parts.values()], axis=1)
        factors, *_ = np.linalg.lstsq(basis, said.numpy().reshape(-1), rcond=None)
        left = np.abs(basis @ factors - said.numpy().reshape(-1)).max()
        if left > 1e-6 * max(1.0, np.abs(said.numpy()).max()):
            return ""
        told = []
        for route, factor in zip(parts, factors, strict=True):
            through = f"the route through {' and '.join(sorted(route))}" if route else "the direct route"
            if abs(factor) <= 1e-6:
                told.append(f"{through} is missing")
            elif abs(factor - 1) > 1e-6:
                told.append(f"{through} is {factor:.6g} times what it is")
        return ", ".join(told)

    def asked_or_parameters(self) -> set[str]:
        """Names whose values the gradient may have been derived without."""
        return set(self.names) - set(self.given)

    def gradient(self, name: str, args: list[Array]) -> Tensor:
        """By the chain rule."""
        f = self.trial.function()
        found = pulled(f, len(self.names))(*map(tensor, args))
        return found[self.names.index(name)]

    def routes(self, name: str, args: list[Array]) -> dict[frozenset[str], Array]:
        """The parts of the gradient by the layer's own labels; none where it labels nothing."""
        *floats, g = args
        xs = [tensor(a, requires_grad=True) for a in floats]
        following = iter(xs)
        layer, trial = self.trial.layer, self.trial
        inputs = mapped(trial.given, lambda a, _: next(following) if a.dtype.kind == "f" else tensor(a))
        try:
            state = dict(zip(trial.learnt(), following, strict=True))
            with as_now(layer), stand_in(layer, state), trace(layer) as graph:
                (y,) = trial.call(layer, inputs)
            labels = [n for n in ROUTES if any(node.label == n for node in graph.nodes)]
            found = graph.routes(y, xs[self.names.index(name)], through=labels, cotangent=tensor(g))
        except MinigradError:
            return {}
        parts = {key: part.numpy() for key, part in found.items()}
        largest = max(float(np.abs(p).max()) for p in parts.values())
        return {key: p for key, p in parts.items() if float(np.abs(p).max()) > 1e-9 * largest}

    def far(self) -> float:
        """The error in float32 on sixteen rows at an offset of 1e6, of what is allowed; 0 where that means nothing."""
        axis, floats = self.trial.sample.batch, [n for n in self.names if n in self.given]
        if axis is None or len(floats) != 1 or set(self.given) != set(floats) or floats[0] not in self.claimed:
            return 0.0
        shape = self.given[floats[0]].shape
        if len(shape) <= axis:
            return 0.0
        rows = self.trial.rng.standard_normal((*shape[:axis], ROWS, *shape[axis + 1 :])) + FAR
        x32 = rows.astype("float32")
        weights = self.trial.rng.standard_normal(x32.shape).astype("float32")
        found = []
        for kind in ("float32", "float64"):
            layer = self.trial.copy(dtype=kind)
            x, g = tensor(x32, dtype=kind, requires_grad=True), tensor(weights, dtype=kind)
            if kind == "float64":
                (y,) = self.trial.call(layer, ((x,), {}))
                (slope,) = sweep((y * g).sum(), [x], allow_unused=True)
                found.append(np.zeros(x.shape) if slope is None else slope.numpy())
                continue
            known = {n: p.detach() for n, p in layer.named_parameters()} | {floats[0]: x.detach()}
            y_of = lambda layer=layer, x=x: self.trial.call(layer, ((x,), {}))[0].detach()
            with np.errstate(all="ignore"):  # a variance that cancels below 0 is told of below
                made = self.form(**{n: self.value(n, known, g, y_of) for n in self.asked})
            found.append(made[floats[0]].numpy().astype("float64"))
        said, right = found
        largest = float(np.abs(right).max())
        error = float(np.abs(said - right).max()) / largest if largest and np.isfinite(said).all() else np.inf
        if largest and not error <= BOUND:
            raise CheckError(
                f"{self.form.__name__} of {self.where}: in float32, on {ROWS} rows at offset {FAR:g}, the gradient of "
                f"{floats[0]} is off by {error:.2g} of its largest element, allowed is {BOUND:g}; subtract the mean "
                "before squaring, E[(x - E[x])²] and not E[x²] - E[x]²",
                Report(f"the closed form {self.form.__name__}", 1, error / BOUND, BOUND),
            )
        return error / BOUND if largest else 0.0


def _error(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    x, y = a.numpy(), b.numpy()
    error = float(np.abs(x - y).max(initial=0)) / max(1.0, float(np.abs(y).max(initial=0)))
    return error if error == error else float("inf")
