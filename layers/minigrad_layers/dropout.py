"""Dropout: noise that makes a network rely on no single unit."""

from __future__ import annotations

import minigrad as mg

__all__ = ["Dropout"]


@mg.composite
def bernoulli(x: mg.Tensor, p: float, generator: mg.random.Generator) -> tuple[mg.Tensor, float]:
    """The numbers that dropout multiplies `x` by, 0 with probability `p` and else 1, and how likely the 1 is."""
    mask, scale = mg.random.mask(x.shape, p, like=x, generator=generator)
    return mg.astype(mask, x.dtype), 1.0 / scale if scale else 0.0


@mg.register_layer
class Dropout(mg.Module):
    """Zero each element with probability `p` and scale the others by 1 / (1 - p), in training; else the identity.

    Each layer has a random stream of its own, `generator`, so its masks depend on the seed, the layer's number and the
    number of the call, on nothing else, and are the same on every backend. `p` is rounded to a multiple of 1/65536
    (2**-32 where p or 1 - p is under 0.01) and the scale is the exact reciprocal. An inf or NaN that is dropped is 0.

    Args:
        p: from 0 (the identity, bit for bit) to 1 (zeros).

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent neural networks
    from overfitting", JMLR 15, 2014.

    Raises:
        ArgumentError: p is no number from 0 to 1.

    Example:
        >>> import minigrad as mg
        >>> y = Dropout(0.5)(mg.ones(1000))
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]
    """

    samples = ((0.4,), (5, 6)), ((0.0,), (3,)), ((1.0,), (3,))

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= mg.arguments.number(p, "p", "Dropout") <= 1:
            raise mg.errors.ArgumentError(f"Dropout: p={p!r} must be a probability, a number from 0 to 1")
        self.p = p if isinstance(p, (int, float)) else float(p)
        self.generator = mg.random.new_stream()

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of any shape."""
        if not self.training or self.p == 0:
            return x
        mask, scale = mg.random.mask(x.shape, self.p, like=x, generator=self.generator)
        return mg.keep(x, mask) * scale

    def textbook(self, x: mg.Tensor) -> mg.Tensor:
        """r ~ Bernoulli(1 - p), y = r x / (1 - p); 0 everywhere for p = 1."""
        if not self.training or self.p == 0:
            return x
        r, kept = bernoulli(x, self.p, self.generator)
        y = (r.named("r") * x).named("_kept")
        return y / kept if kept else y

    def extra_repr(self) -> str:
        """PyTorch's; no layer here works in place."""
        return f"p={self.p}, inplace=False"
