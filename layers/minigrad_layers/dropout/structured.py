"""Dropout of what belongs together: channels, examples, blocks of a map, tokens."""

from __future__ import annotations

from dataclasses import KW_ONLY
from math import floor, prod
from typing import Any, ClassVar

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.dropout.elementwise import alpha_drop
from minigrad_layers.dropout.masks import Noise, drop

__all__ = ["DropBlock2d", "DropPath", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout", "PatchDropout"]


class _Channels(Noise):
    """Whole channels of (n, c, …) with a given number of axes of places."""

    p: float = 0.5
    inplace: bool = False

    places: ClassVar[int]

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …); refused with other numbers of axes, also where p = 0 and in evaluation."""
        name = type(self).__name__
        if x.ndim != self.places + 2:
            other = f"; Dropout{x.ndim - 2}d takes it" if 3 <= x.ndim <= 5 else ""
            raise ShapeError(
                f"{name}: x has shape {x.shape}, it must be (n, c) and {self.places} axes of places, x[None] for one "
                f"example{other or '; Dropout drops single elements'}"
            )
        if not self.training or self.p == 0:
            return x
        return drop(x, x.shape[:2] + (1,) * self.places, self.p, self.generator)


@mg.register_layer
class Dropout1d(_Channels):
    """Zero whole channels of (n, c, l) with probability `p` and scale the others by 1 / (1 - p), in training.

    Neighbours in a channel tell almost the same, so that dropping single elements would hide nothing. One example
    without n is refused, since (c, l) cannot be told from (n, c): PyTorch's layer drops the rows of both.

    Args:
        p: from 0 (the identity) to 1 (zeros).

    Source: Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient object localization using convolutional networks", CVPR
    2015.

    Raises:
        ArgumentError: p is no number from 0 to 1.
        ShapeError: x has not three axes.

    Example:
        >>> import minigrad as mg
        >>> y = Dropout1d(0.5)(mg.ones((1, 100, 3)))
        >>> {tuple(row) for row in y[0].tolist()} == {(0.0, 0.0, 0.0), (2.0, 2.0, 2.0)}
        True
    """

    places = 1
    samples = ((0.4,), (2, 5, 3)), ((1.0,), (1, 2, 2))


@mg.register_layer
class Dropout2d(_Channels):
    """Zero whole channels of (n, c, h, w) with probability `p` and scale the others by 1 / (1 - p), in training.

    PyTorch's layer takes (n, c, l) and (c, h, w) too, reads both in one way, and did so otherwise for one release; here
    they are refused.

    Args:
        p: from 0 (the identity) to 1 (zeros).

    Source: Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient object localization using convolutional networks", CVPR
    2015.

    Raises:
        ArgumentError: p is no number from 0 to 1.
        ShapeError: x has not four axes.

    Example:
        >>> import minigrad as mg
        >>> y = Dropout2d(0.5)(mg.ones((2, 50, 3, 3)))
        >>> sorted(set(y.mean(axis=(2, 3)).flatten().tolist()))
        [0.0, 2.0]
    """

    places = 2
    samples = ((0.4,), (2, 5, 3, 2)), ((1.0,), (1, 2, 2, 1))


@mg.register_layer
class Dropout3d(_Channels):
    """Zero whole channels of (n, c, d, h, w) with probability `p` and scale the others by 1 / (1 - p), in training.

    Args:
        p: from 0 (the identity) to 1 (zeros).

    Source: Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient object localization using convolutional networks", CVPR
    2015.

    Raises:
        ArgumentError: p is no number from 0 to 1.
        ShapeError: x has not five axes.

    Example:
        >>> import minigrad as mg
        >>> Dropout3d(0.5)(mg.ones((2, 3, 2, 2, 2))).shape
        (2, 3, 2, 2, 2)
    """

    places = 3
    samples = ((0.4,), (2, 4, 2, 1, 2)), ((1.0,), (1, 2, 1, 1, 2))


@mg.register_layer
class FeatureAlphaDropout(Noise):
    """`AlphaDropout` of whole channels: in (n, c, …) those that are dropped saturate, mean and variance stay.

    Args:
        p: from 0 (the identity) to 1 (zeros, as in PyTorch).

    Source: Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NeurIPS 2017.

    Raises:
        ArgumentError: p is no number from 0 to 1.
        ShapeError: x has not at least two axes.

    Example:
        >>> import minigrad as mg
        >>> y = FeatureAlphaDropout(0.5)(mg.zeros((4, 50, 3)))
        >>> sorted({round(v, 4) for v in y.flatten().tolist()})
        [-0.7792, 0.7792]
    """

    p: float = 0.5
    inplace: bool = False

    samples = ((0.4,), (2, 5, 3)), ((1.0,), (1, 2, 2))

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, …)."""
        if x.ndim < 2:
            raise ShapeError(f"FeatureAlphaDropout: x has shape {x.shape}, it must be (n, c, …)")
        if not self.training or self.p == 0:
            return x
        return alpha_drop(x, x.shape[:2] + (1,) * (x.ndim - 2), self.p, self.generator)


@mg.register_layer
class DropPath(Noise):
    """Zero whole examples with probability `drop_prob`, in training: behind a branch, this skips it (stochastic depth).

    Some call this "drop connect", which is another thing: `DropConnect`. `DropPath.rates(p, depth)` are the usual
    rates of a network's blocks, from 0 to p.

    Args:
        drop_prob: from 0 (the identity) to 1 (zeros).
        scale_by_keep: scale what is kept by 1 / (1 - drop_prob); without it, the mean is not that of evaluation.
        mode: "row" decides for each example, "batch" for all of them together (LayerDrop).

    Source: Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", ECCV 2016; the name is that of
    Larsson, Maire, Shakhnarovich, "FractalNet: ultra-deep neural networks without residuals", ICLR 2017.

    Raises:
        ArgumentError: drop_prob is no number from 0 to 1, another mode.

    Example:
        >>> import minigrad as mg
        >>> y = DropPath(0.5)(mg.ones((100, 2)))
        >>> {tuple(row) for row in y.tolist()} == {(0.0, 0.0), (2.0, 2.0)}
        True
        >>> DropPath.rates(0.2, 3)
        [0.0, 0.1, 0.2]
    """

    rate: ClassVar[str] = "drop_prob"

    drop_prob: float = 0.0
    scale_by_keep: bool = True
    _: KW_ONLY
    mode: str = "row"

    samples = (
        mg.Sample((0.4,), inputs=((6, 2, 2),)),
        mg.Sample((0.4, False), {"mode": "batch"}, inputs=((3, 2),)),
        mg.Sample((1.0,), inputs=((3,),)),
    )

    def prepare(self) -> None:
        """Check the mode too."""
        super().prepare()
        if self.mode not in ("row", "batch"):
            raise ArgumentError(f"DropPath: mode={self.mode!r} must be 'row' or 'batch'")

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, …)."""
        if x.ndim < 1:
            raise ShapeError(f"DropPath: x has shape {x.shape}, it must be (n, …)")
        if not self.training or self.drop_prob == 0:
            return x
        shape = (x.shape[0] if self.mode == "row" else 1,) + (1,) * (x.ndim - 1)
        return drop(x, shape, self.drop_prob, self.generator, scaled=self.scale_by_keep)

    @staticmethod
    def rates(p: float, depth: int) -> list[float]:
        """Rates for `depth` blocks that grow evenly from 0 to `p`."""
        return [p * k / max(1, depth - 1) for k in range(mg.arguments.integer(depth, "depth", "DropPath.rates", 0))]

    def extra_repr(self) -> str:
        """timm's, and the mode where it is another."""
        return f"drop_prob={self.drop_prob:0.3f}" + ("" if self.mode == "row" else f", mode={self.mode!r}")


@mg.composite
def blocks(
    x: mg.Tensor, seeds: tuple[int, ...], size: tuple[int, int], gamma: float, generator: mg.random.Generator
) -> tuple[mg.Tensor, mg.Tensor]:
    """Where no block of `size` lies, True, and what share of the map that is (never 0: all of it may be dropped).

    A block begins at each of the `seeds`, the places where a whole one fits, with probability gamma.
    """
    kept, _ = mg.random.mask(seeds, gamma, like=x, generator=generator)
    for axis, b in zip((2, 3), size, strict=True):  # kept where none of the b seeds before it is a block's
        padded = mg.pad(kept, tuple((b - 1, b - 1) if a == axis else (0, 0) for a in range(4)), 1.0)
        n = padded.shape[axis] - (b - 1)
        parts = [padded[:, :, k : k + n] if axis == 2 else padded[:, :, :, k : k + n] for k in range(b)]
        kept = parts[0]
        for part in parts[1:]:
            kept = mg.logical_and(kept, part)
    wide = "float64" if x.dtype.itemsize == 8 else "float32"
    share = mg.sum(mg.astype(kept, wide)) / max(1, prod(kept.shape))
    return kept, mg.maximum(share, 1.0 / max(1, prod(kept.shape)))


@mg.register_layer
class DropBlock2d(Noise):
    """Zero square blocks of the maps of (n, c, h, w), about a share `p`, and scale the rest by what was kept.

    A block begins, with probability γ = p h w / (b² (h - b + 1) (w - b + 1)), at each place where a *whole* block fits;
    y = r x / mean(r), the mean over the batch. Blocks overlap, so less than p is dropped: 0.25 for p = 0.3, b = 7 on
    28x28. (Where seeds lie everywhere, as in timm, a 7x7 map loses 0.93 for an asked 0.1.) If nothing is kept, all is
    0.

    Args:
        p: the share to drop: 0 is the identity, 1 zeros.
        block_size: edge of a block, odd or even; cut to the size of a smaller map.
        couple_channels: one mask for all channels, in place of one for each.
        exact: γ = 1 - (1 - p)^(1/b²), with which a place that b² blocks can cover is dropped with probability p.

    Source: Ghiasi, Lin, Le, "DropBlock: a regularization method for convolutional networks", NeurIPS 2018.

    Raises:
        ArgumentError: p is no number from 0 to 1, a block_size below 1.
        ShapeError: x has not four axes.

    Example:
        >>> import minigrad as mg
        >>> y = DropBlock2d(0.1, 7)(mg.ones((200, 1, 7, 7)))  # one seed fits: a map is dropped whole or not at all
        >>> share = 1 - (y != 0).mean().item()
        >>> 0.05 < share < 0.15
        True
    """

    p: float
    block_size: int
    inplace: bool = False
    _: KW_ONLY
    couple_channels: bool = False
    exact: bool = False

    samples = (
        mg.Sample((0.3, 2), inputs=((2, 2, 4, 5),)),
        mg.Sample((0.4, 3), {"couple_channels": True, "exact": True}, inputs=((3, 2, 3, 4),)),
        mg.Sample((1.0, 2), inputs=((1, 1, 3, 3),)),
    )

    def prepare(self) -> None:
        """Check the size of a block too."""
        super().prepare()
        mg.arguments.integer(self.block_size, "block_size", "DropBlock2d", 1)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, c, h, w)."""
        drawn = self._drawn(x)
        if drawn is None:
            return x
        r, share = drawn
        return mg.keep(x, r) * mg.astype(1.0 / share, x.dtype)

    def textbook(self, x: mg.Tensor) -> mg.Tensor:
        """r is 0 in blocks that begin at random places; y = r x / mean(r)."""
        drawn = self._drawn(x)
        if drawn is None:
            return x
        r, share = drawn
        return (mg.astype(r, x.dtype).named("r") * x).named("_kept") / mg.astype(share, x.dtype).named("_share")

    def _drawn(self, x: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor] | None:
        """Mask and share; None where nothing is dropped."""
        if x.ndim != 4:
            raise ShapeError(f"DropBlock2d: x has shape {x.shape}, it must be (n, c, h, w)")
        n, c, h, w = x.shape
        if not self.training or self.p == 0 or not h * w:
            return None
        size = a, b = min(self.block_size, h), min(self.block_size, w)
        rows, columns = h - a + 1, w - b + 1
        gamma = self.p * h * w / (a * b * rows * columns)
        if self.exact:
            gamma = 1.0 - (1.0 - self.p) ** (1.0 / (a * b))
        gamma = 1.0 if self.p == 1 else min(1.0, gamma)
        return blocks(x, (n, 1 if self.couple_channels else c, rows, columns), size, gamma, self.generator)


@mg.composite
def chosen(x: mg.Tensor, tokens: int, kept: int, ordered: bool, generator: mg.random.Generator) -> mg.Tensor:
    """For each example, the positions of `kept` of `tokens` tokens, in the order of random numbers or their own."""
    u = mg.random.uniform((x.shape[0], tokens), like=x, generator=generator)
    order = mg.argsort(u, axis=1)[:, :kept]
    return mg.sort(order, axis=1) if ordered else order


@mg.register_layer
class PatchDropout(Noise):
    """Keep a random subset of the tokens of each example in training, all of them in evaluation; nothing is scaled.

    Of the tokens behind the prefix floor((1 - prob) tokens) are kept, at least one, so the result is shorter.

    Args:
        prob: the share to drop, from 0 (the identity) up to, not including, 1, which would leave nothing to compute on.
        num_prefix_tokens: tokens in front (a class token) that are always kept.
        ordered: keep the tokens in their order; attention does not need it.

    Source: Liu, Matsoukas, Strand, Azizpour, Smith, "PatchDropout: economizing vision transformers using patch
    dropout", WACV 2023.

    Raises:
        ArgumentError: prob is no number from 0 up to 1.
        ShapeError: x is not (n, tokens, …), or has fewer tokens than the prefix.

    Example:
        >>> import minigrad as mg
        >>> PatchDropout(0.75)(mg.ones((2, 17, 3))).shape
        (2, 5, 3)
    """

    rate: ClassVar[str] = "prob"

    prob: float = 0.5
    num_prefix_tokens: int = 1
    ordered: bool = False

    samples = ((0.4,), (2, 6, 3)), ((0.5, 0, True), (3, 5, 2))

    def checked(self, value: Any) -> float:
        """Below 1 too."""
        if mg.arguments.number(value, "prob", "PatchDropout") == 1:
            raise ArgumentError(f"PatchDropout: prob={value!r} must be below 1, or no token would be left")
        return super().checked(value)

    def prepare(self) -> None:
        """Check the prefix too."""
        super().prepare()
        mg.arguments.integer(self.num_prefix_tokens, "num_prefix_tokens", "PatchDropout", 0)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x of shape (n, tokens, …)."""
        prefix = self.num_prefix_tokens
        if x.ndim < 2 or x.shape[1] < prefix:
            raise ShapeError(
                f"PatchDropout: x has shape {x.shape}, it must be (n, tokens, …) with at least "
                f"num_prefix_tokens={prefix} tokens"
            )
        tokens = x.shape[1] - prefix
        if not self.training or self.prob == 0 or not tokens:
            return x
        kept = max(1, floor(tokens * (1 - self.prob) + 1e-9))  # 20 (1 - 0.9) is 1.9999999999999996
        at = chosen(x, tokens, kept, self.ordered, self.generator)
        at = mg.broadcast_to(mg.reshape(at, at.shape + (1,) * (x.ndim - 2)), (x.shape[0], kept, *x.shape[2:]))
        y = mg.take_along_axis(x[:, prefix:], at, axis=1)
        return mg.concat([x[:, :prefix], y], axis=1) if prefix else y

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"prob={self.prob}, num_prefix_tokens={self.num_prefix_tokens}, ordered={self.ordered}"
