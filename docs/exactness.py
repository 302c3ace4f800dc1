"""How exact are the gradients of batch norm, engine by engine: python docs/exactness.py [ENGINE ...]

Batch norm, in training, of 5 examples and 2 features in float64: ten draws of x, gamma, beta and three cotangents,
which are not free of mean; one gamma is 0 in every other draw. Order 1 is the gradient by x of y times the first one,
order k that of order k - 1 times the k-th. The reference is the formula of the paper in HIPS autograd. An error is the
largest difference over the largest element; each row has the largest of the draws, or where they are no rounding errors
the least and the largest. Engines that are not installed are left out. (tinygrad without a C compiler: DEV=PYTHON.
Chainer needs numpy<1.24.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np

EPS = 1e-5
Array = Any


def reference(x: Array, gamma: Array, beta: Array, cs: Array) -> list[Array]:
    def value(x: Array) -> Array:
        d = x - anp.mean(x, axis=0)
        return anp.sum(cs[0] * (d / anp.sqrt(anp.mean(d * d, axis=0) + EPS) * gamma + beta))

    found, f = [], value
    for c in (*cs[1:], None):
        gradient = autograd.grad(f)
        found.append(gradient(x))
        f = lambda x, gradient=gradient, c=c: anp.sum(gradient(x) * c)
    return found


def with_minigrad(x: Array, gamma: Array, beta: Array, cs: Array) -> Iterator[Array]:
    import minigrad as mg

    norm = mg.layer("BatchNorm1d", 2, EPS, dtype="float64")
    norm.weight.data, norm.bias.data = gamma, beta
    t = mg.tensor(x, requires_grad=True)
    y = norm(t)
    for c in cs:
        (y,) = mg.gradients(y, [t], cotangent=mg.tensor(c), create_graph=True)
        yield y.numpy()


def with_torch(x: Array, gamma: Array, beta: Array, cs: Array) -> Iterator[Array]:
    import torch

    t = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.batch_norm(t, None, None, torch.tensor(gamma), torch.tensor(beta), True, eps=EPS)
    for c in cs:
        (y,) = torch.autograd.grad(y, t, torch.tensor(c), create_graph=True)
        yield y.detach().numpy()


def with_chainer(x: Array, gamma: Array, beta: Array, cs: Array) -> Iterator[Array]:
    import chainer

    t, w, b = (chainer.Variable(a) for a in (x, gamma, beta))
    y = chainer.functions.batch_normalization(t, w, b, eps=EPS)
    for c in cs:
        (y,) = chainer.grad([y], [t], [chainer.Variable(c)], enable_double_backprop=True)
        yield y.array


def with_dezero(x: Array, gamma: Array, beta: Array, cs: Array) -> Iterator[Array]:
    vars(np)["int"] = int  # it was written for an older NumPy
    import dezero

    t, w, b = (dezero.Variable(a) for a in (x, gamma, beta))
    y = dezero.functions.batch_nrom(t, w, b, np.zeros(2), np.ones(2), eps=EPS)
    for c in cs:
        t.cleargrad()
        dezero.functions.sum(y * c).backward(create_graph=True)
        y = t.grad
        yield y.data


def with_tinygrad(x: Array, gamma: Array, beta: Array, cs: Array) -> Iterator[Array]:
    from tinygrad import Tensor, nn

    norm = nn.BatchNorm(2, EPS, track_running_stats=False)
    norm.weight, norm.bias = Tensor(gamma), Tensor(beta)
    t = Tensor(x)
    y = norm(t)
    for c in cs:
        (y,) = (y * Tensor(c)).sum().gradient(t)
        yield y.numpy()


def errors(engine: Callable[..., Iterator[Array]]) -> Array:
    """For each draw the errors at orders 1, 2 and 3."""
    rng, found = np.random.default_rng(0), []
    for draw in range(10):
        x, gamma, beta, cs = rng.normal(size=(5, 2)), rng.normal(size=2), rng.normal(size=2), rng.normal(size=(3, 5, 2))
        gamma[1] *= draw % 2
        pairs = zip(engine(x, gamma, beta, cs), reference(x, gamma, beta, cs), strict=True)
        found.append([float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs])
    return np.array(found)


def in_words(least: float, most: float) -> str:
    """1e-15, or 12 to 150 %."""
    return f"{most:.0e}" if most < 1e-9 else f"{100 * least:.2g} to {100 * most:.3g} %"


if __name__ == "__main__":
    for name in sys.argv[1:] or ("minigrad", "torch", "chainer", "tinygrad", "dezero"):
        try:
            table = errors(globals()[f"with_{name}"])
        except ImportError as problem:
            print(f"{name}: {problem}", file=sys.stderr)
            continue
        cells = [f"{name} {version(name)}", *map(in_words, table.min(0), table.max(0))]
        print(f"| {' | '.join(cells)} |")
