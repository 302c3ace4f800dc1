"""Pooling whose windows follow the input: a given number of them, or one over everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import minigrad as mg
from minigrad_layers.options import Options, refuse
from minigrad_layers.pooling import windows
from minigrad_layers.spatial import Ints, batched, several


class _Adaptive(Options):
    """As many windows along each axis as asked for."""

    spatial: ClassVar[int]
    function: ClassVar[Callable[..., mg.Tensor]]
    output_size: int | Sequence[int | None] | None

    def prepare(self) -> None:
        """A size, or None for the input's, for each axis."""
        self._wanted()

    def _wanted(self) -> tuple[int | None, ...]:
        given = self.output_size if isinstance(self.output_size, (tuple, list)) else (self.output_size,)
        known = several([1 if n is None else n for n in given], self.spatial, "output_size", type(self).__name__)
        missing = [n is None for n in given] * (self.spatial if len(given) == 1 else 1)
        return tuple(None if none else n for n, none in zip(known, missing, strict=True))

    def _uneven(self, x: mg.Tensor, places: list[windows.Places]) -> mg.Tensor:
        raise NotImplementedError

    def _pool(self, x: mg.Tensor) -> mg.Tensor:
        lengths = x.shape[2:]
        asked = [m if n is None else n for n, m in zip(self._wanted(), lengths, strict=True)]
        if all(m % n == 0 for n, m in zip(asked, lengths, strict=True)):  # windows of one size, side by side
            return type(self).function(x, tuple(m // n for n, m in zip(asked, lengths, strict=True)))
        return self._uneven(x, [windows.adaptive(x, 2 + k, n) for k, n in enumerate(asked)])

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(n, c, …) to (n, c, *output_size), or both without n."""
        if min(x.shape[-self.spatial :], default=0) < 1:
            raise mg.errors.ShapeError(f"{type(self).__name__}: x has shape {x.shape} and nothing to take")
        return batched(self._pool, x, self.spatial, type(self).__name__)


class _AdaptiveAvgPool(_Adaptive):
    """What AdaptiveAvgPool1d, AdaptiveAvgPool2d and AdaptiveAvgPool3d share."""

    def _uneven(self, x: mg.Tensor, places: list[windows.Places]) -> mg.Tensor:
        return windows.mean(x, places, padding_counts=False)


@mg.register_layer
class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of each of `output_size` windows of (n, c, w); see `AdaptiveAvgPool2d`.

    Example:
        >>> import minigrad as mg
        >>> AdaptiveAvgPool1d(2)(mg.tensor([[[1.0, 3.0, 5.0]]]))
        tensor([[[2., 4.]]])
    """

    samples = (((2,), (2, 1, 5)),)
    spatial, function = 1, mg.avg_pool1d


@mg.register_layer
class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean of each of as many windows of (n, c, h, w) as asked for.

    Window i of k along an axis of n goes from floor(i n / k) to ceil((i + 1) n / k), as in PyTorch, so windows may
    overlap by one and differ in size by one.

    Args:
        output_size: rows and columns of the result, an integer or a pair; None for as many as the input has.

    Raises:
        ArgumentError: a size under 1.
        ShapeError: another number of axes, or an input without elements along them.

    Example:
        >>> import minigrad as mg
        >>> AdaptiveAvgPool2d((2, None))(mg.ones((1, 3, 7, 5))).shape
        (1, 3, 2, 5)
    """

    samples = ((2,), (2, 1, 3, 5)), (((1, None),), (1, 2, 3, 2))
    spatial, function = 2, mg.avg_pool2d


@mg.register_layer
class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean of each of as many windows of (n, c, d, h, w) as asked for; see `AdaptiveAvgPool2d`.

    Example:
        >>> import minigrad as mg
        >>> AdaptiveAvgPool3d(2)(mg.ones((1, 3, 7, 5, 4))).shape
        (1, 3, 2, 2, 2)
    """

    samples = ((((1, 2, 2),), (1, 1, 2, 3, 2)),)
    spatial, function = 3, mg.avg_pool3d


class _AdaptiveMaxPool(_Adaptive):
    """What AdaptiveMaxPool1d, AdaptiveMaxPool2d and AdaptiveMaxPool3d share."""

    return_indices: bool = False

    def prepare(self) -> None:
        """No indices: nothing here would take them."""
        if self.return_indices:
            refuse(self, "return_indices", True, "the gradient needs none; leave it out")
        super().prepare()

    def _uneven(self, x: mg.Tensor, places: list[windows.Places]) -> mg.Tensor:
        return windows.largest(x, places)

    def extra_repr(self) -> str:
        """PyTorch's."""
        return f"output_size={self.output_size}"


@mg.register_layer
class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest element of each of `output_size` windows of (n, c, w); see `AdaptiveMaxPool2d`.

    Example:
        >>> import minigrad as mg
        >>> AdaptiveMaxPool1d(2)(mg.tensor([[[1.0, 3.0, 5.0]]]))
        tensor([[[3., 5.]]])
    """

    samples = (((2,), (2, 1, 5)),)
    spatial, function = 1, mg.max_pool1d


@mg.register_layer
class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest element of each of as many windows of (n, c, h, w) as asked for.

    The windows are those of `AdaptiveAvgPool2d`; elements that tie share the gradient evenly.

    Args:
        output_size: rows and columns of the result, an integer or a pair; None for as many as the input has.
        return_indices: not taken.

    Example:
        >>> import minigrad as mg
        >>> AdaptiveMaxPool2d((2, None))(mg.ones((1, 3, 7, 5))).shape
        (1, 3, 2, 5)
    """

    samples = ((2,), (2, 1, 3, 5)), (((1, None),), (1, 2, 3, 2))
    spatial, function = 2, mg.max_pool2d


@mg.register_layer
class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest element of each of as many windows of (n, c, d, h, w) as asked for; see `AdaptiveMaxPool2d`.

    Example:
        >>> import minigrad as mg
        >>> AdaptiveMaxPool3d(2)(mg.ones((1, 3, 7, 5, 4))).shape
        (1, 3, 2, 2, 2)
    """

    samples = ((((1, 2, 2),), (1, 1, 2, 3, 2)),)
    spatial, function = 3, mg.max_pool3d


class _Global(Options):
    """One window over all spatial axes."""

    spatial: ClassVar[int]
    keepdims: bool = False

    def _axes(self, x: mg.Tensor) -> Ints:
        if x.ndim != self.spatial + 2:
            raise mg.errors.ShapeError(
                f"{type(self).__name__}: x has shape {x.shape}, it must have {self.spatial + 2} axes, (n, c, …)"
            )
        return tuple(range(2, x.ndim))


class _GlobalAvgPool(_Global):
    """What GlobalAvgPool1d, GlobalAvgPool2d and GlobalAvgPool3d share."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(n, c, …) to (n, c), or with `keepdims` to (n, c, 1, …)."""
        return mg.mean(x, axis=self._axes(x), keepdims=self.keepdims)


@mg.register_layer
class GlobalAvgPool1d(_GlobalAvgPool):
    """The mean of each channel of (n, c, w); see `GlobalAvgPool2d`.

    Example:
        >>> import minigrad as mg
        >>> GlobalAvgPool1d()(mg.ones((2, 3, 4))).shape
        (2, 3)
    """

    samples = (((), (2, 2, 3)),)
    spatial = 1


@mg.register_layer
class GlobalAvgPool2d(_GlobalAvgPool):
    """The mean of each channel of (n, c, h, w), as (n, c); with `keepdims` as (n, c, 1, 1).

    Source: Lin, Chen, Yan, "Network in network", ICLR 2014.

    Example:
        >>> import minigrad as mg
        >>> GlobalAvgPool2d()(mg.ones((2, 3, 4, 5))).shape
        (2, 3)
    """

    samples = ((), (2, 2, 3, 2)), ((True,), (2, 1, 2, 2))
    spatial = 2


@mg.register_layer
class GlobalAvgPool3d(_GlobalAvgPool):
    """The mean of each channel of (n, c, d, h, w); see `GlobalAvgPool2d`.

    Example:
        >>> import minigrad as mg
        >>> GlobalAvgPool3d()(mg.ones((2, 3, 4, 5, 6))).shape
        (2, 3)
    """

    samples = (((), (2, 1, 2, 1, 2)),)
    spatial = 3


class _GlobalMaxPool(_Global):
    """What GlobalMaxPool1d, GlobalMaxPool2d and GlobalMaxPool3d share."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """(n, c, …) to (n, c), or with `keepdims` to (n, c, 1, …)."""
        return mg.max(x, axis=self._axes(x), keepdims=self.keepdims)


@mg.register_layer
class GlobalMaxPool1d(_GlobalMaxPool):
    """The largest element of each channel of (n, c, w); see `GlobalMaxPool2d`.

    Example:
        >>> import minigrad as mg
        >>> GlobalMaxPool1d()(mg.ones((2, 3, 4))).shape
        (2, 3)
    """

    samples = (((), (2, 2, 3)),)
    spatial = 1


@mg.register_layer
class GlobalMaxPool2d(_GlobalMaxPool):
    """The largest element of each channel of (n, c, h, w), as (n, c); with `keepdims` as (n, c, 1, 1).

    Elements that tie share the gradient evenly.

    Example:
        >>> import minigrad as mg
        >>> GlobalMaxPool2d()(mg.ones((2, 3, 4, 5))).shape
        (2, 3)
    """

    samples = ((), (2, 2, 3, 2)), ((True,), (2, 1, 2, 2))
    spatial = 2


@mg.register_layer
class GlobalMaxPool3d(_GlobalMaxPool):
    """The largest element of each channel of (n, c, d, h, w); see `GlobalMaxPool2d`.

    Example:
        >>> import minigrad as mg
        >>> GlobalMaxPool3d()(mg.ones((2, 3, 4, 5, 6))).shape
        (2, 3)
    """

    samples = (((), (2, 1, 2, 1, 2)),)
    spatial = 3
