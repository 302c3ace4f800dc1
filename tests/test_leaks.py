"""L2: a constant leak that is put into a layer is named by its source line; what is declared is none.

Each mutant is one line of a right layer, written as somebody in a hurry writes it. Values stay what they were; only
gradients are wrong.
"""

from __future__ import annotations

import linecache
import textwrap
from typing import Any

import numpy as np
import pytest

import minigrad as mg

BATCH = """
class Norm(mg.Module):
    samples = (mg.Sample(inputs=((6, 3),)),)
    def __init__(self):
        self.weight, self.bias = mg.Parameter(mg.ones(3)), mg.Parameter(mg.zeros(3))
    def forward(self, x):
        mean = mg.mean(x, axis=0, keepdims=True)
        d = x - mean
        var = mg.mean(d * d, axis=0, keepdims=True)
        sigma = mg.sqrt(var + 1e-5)
        y = d / sigma
        return y * self.weight + self.bias
"""
RENORM = """
class Norm(mg.Module):
    samples = (mg.Sample(inputs=((6, 3),)),)
    def __init__(self):
        self.running_mean, self.running_std = mg.Buffer(mg.zeros(3)), mg.Buffer(mg.ones(3))
    def forward(self, x):
        mean, std = mg.mean(x, axis=0), mg.std(x, axis=0) + 0.01
        r = mg.stop_gradient(mg.clip(std / self.running_std, 0.3, 3.0), why="batch renormalization")
        d = mg.stop_gradient((mean - self.running_mean) / self.running_std, why="batch renormalization")
        y = (x - mean) / std * r + d
        if self.training:
            self.running_mean.assign(self.running_mean * 0.9 + mg.stop_gradient(mean, why="running statistics") * 0.1)
        return mg.astype(y, x.dtype)
"""
ATTEND = """
class Attend(mg.Module):
    samples = (mg.Sample(inputs=((2, 4, 3), (2, 4, 3))),)
    def __init__(self):
        self.generator, self.scale = mg.random.new_stream(), mg.Parameter(mg.ones(3))
    def forward(self, q, k):
        scores = mg.matmul(q * self.scale, k.mT) * 3**-0.5
        top = mg.max(scores, axis=-1, keepdims=True)
        e = mg.exp(scores - top)
        total = mg.sum(e, axis=-1, keepdims=True)
        p = e / total
        if self.training:
            mask, scale = mg.random.mask(p.shape, 0.25, like=p, generator=self.generator)
            p = mg.keep(p, mask) * scale
        return mg.where(q > 0, mg.matmul(p, k), 0.0)
"""
WEIGHT = """
class WeightNorm(mg.Module):
    samples = (mg.Sample(inputs=((4, 3),)),)
    def __init__(self):
        self.v, self.g = mg.Parameter(mg.reshape(mg.arange(6.0) + 1.0, (2, 3))), mg.Parameter(mg.ones((2, 1)))
    def forward(self, x):
        norm = mg.sqrt(mg.sum(self.v * self.v, axis=1, keepdims=True))
        w = self.g * self.v / norm
        return mg.matmul(x, w.T)
"""
MUTANTS: list[tuple[str, str, str]] = [
    (BATCH, "mean = mg.mean(x, axis=0, keepdims=True)", "mean = mg.mean(x, axis=0, keepdims=True).detach()"),
    (BATCH, "d = x - mean", "d = x - mean.detach()"),
    (BATCH, "d = x - mean", "d = x - mean.numpy()"),
    (BATCH, "d = x - mean", "d = x - mean.data"),
    (BATCH, "mean = mg.mean(x, axis=0, keepdims=True)", "mean = mg.tensor(np.mean(x.numpy(), axis=0, keepdims=True))"),
    (BATCH, "mean = mg.mean(x, axis=0, keepdims=True)", "mean = np.mean(x.numpy(), axis=0, keepdims=True)"),
    (BATCH, "mean = mg.mean(x, axis=0, keepdims=True)", "mean = mg.no_grad()(mg.mean)(x, axis=0, keepdims=True)"),
    (BATCH, "var = mg.mean(d * d, axis=0, keepdims=True)", "var = mg.mean(d * d, axis=0, keepdims=True).detach()"),
    (BATCH, "var = mg.mean(d * d, axis=0, keepdims=True)", "var = mg.mean(d.data * d.data, axis=0, keepdims=True)"),
    (BATCH, "var = mg.mean(d * d, axis=0, keepdims=True)", "var = mg.var(x.detach(), axis=0, keepdims=True)"),
    (BATCH, "sigma = mg.sqrt(var + 1e-5)", "sigma = mg.sqrt(var + 1e-5).detach()"),
    (BATCH, "sigma = mg.sqrt(var + 1e-5)", "sigma = np.sqrt(var.numpy() + 1e-5)"),
    (BATCH, "y = d / sigma", "y = d / mg.Buffer(sigma).numpy()"),
    (BATCH, "y = d / sigma", "y = d / mg.Parameter(sigma).detach()"),
    (BATCH, "y = d / sigma", "y = d / float(sigma[0, 0].item())"),
    (BATCH, "y = d / sigma", "y = d.detach() / sigma + 0.0 * x"),
    (BATCH, "return y * self.weight + self.bias", "return y * self.weight.detach() + self.bias"),
    (BATCH, "return y * self.weight + self.bias", "return y * self.weight + self.bias.numpy()"),
    (RENORM, 'd = mg.stop_gradient((mean - self.running_mean) / self.running_std, why="batch renormalization")',
     "d = ((mean - self.running_mean) / self.running_std).detach()"),
    (RENORM, 'r = mg.stop_gradient(mg.clip(std / self.running_std, 0.3, 3.0), why="batch renormalization")',
     "r = mg.tensor((std / self.running_std).numpy().clip(0.3, 3.0))"),
    (RENORM, "y = (x - mean) / std * r + d", "y = (x - mean.detach()) / std * r + d"),
    (ATTEND, "top = mg.max(scores, axis=-1, keepdims=True)", "top = scores.data.max(axis=-1, keepdims=True)"),
    (ATTEND, "total = mg.sum(e, axis=-1, keepdims=True)", "total = mg.sum(e, axis=-1, keepdims=True).detach()"),
    (ATTEND, "p = mg.keep(p, mask) * scale", "p = mg.keep(p, mask) * (1.0 / mg.mean(p.detach()))"),
    (WEIGHT, "norm = mg.sqrt(mg.sum(self.v * self.v, axis=1, keepdims=True))",
     "norm = np.linalg.norm(self.v.numpy(), axis=1, keepdims=True)"),
    (WEIGHT, "w = self.g * self.v / norm", "w = self.g * self.v / norm.detach()"),
    (WEIGHT, "w = self.g * self.v / norm", "w = self.g.detach() * self.v / norm"),
]  # fmt: skip


def made(source: str, file: str) -> type[mg.Module]:
    """The class of a source, whose lines a traceback (and a leak) can quote."""
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space: dict[str, Any] = {"mg": mg, "np": np, "__name__": "some_plugin"}
    exec(compile(source, file, "exec"), space)
    (cls,) = (v for v in space.values() if isinstance(v, type) and issubclass(v, mg.Module))
    return cls


def lines_of_constants(cls: type[mg.Module]) -> str:
    with pytest.raises(mg.check.CheckError) as caught:
        mg.check.layer(cls, order=1, backends=())
    return "\n".join(f.detail for f in caught.value.report.failed if f.check == "constants")


@pytest.mark.parametrize("source", [BATCH, RENORM, ATTEND, WEIGHT], ids=["batch", "renorm", "attention", "weight"])
def test_the_right_layers_have_none(source: str) -> None:
    report = mg.check.layer(made(source, "<right>"), order=2)
    assert not report.failed


@pytest.mark.parametrize("k", range(len(MUTANTS)))
def test_l2_a_leak_is_named_by_its_source_line(k: int, backend: str) -> None:
    if backend != "numpy":
        pytest.skip("mutants call NumPy on host arrays; the check is the same on every backend")
    source, old, new = MUTANTS[k]
    assert source.count(old) == 1
    text = textwrap.dedent(source).replace(old, new)
    (number,) = (n for n, line in enumerate(text.splitlines(), 1) if line.strip() == new)
    told = lines_of_constants(made(text, f"<mutant {k}>"))
    assert f"<mutant {k}>:{number} `{new}`" in told, told
    assert "constant leak" in told
    assert "mg.stop_gradient(x, why=" in told


def test_a_branch_on_a_value_is_told() -> None:
    class Fork(mg.Module):
        samples = (mg.Sample(inputs=((4, 3),)),)

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return mg.exp(x) if abs(x.sum().item()) < 1 else mg.sin(x)

    told = lines_of_constants(Fork)
    assert "do not branch on a value" in told
