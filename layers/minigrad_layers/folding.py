"""Batch norms made part of the layers before them, for inference: no layer, but a copy of a model."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.container import Identity, Sequential
from minigrad_layers.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from minigrad_layers.dense import Linear
from minigrad_layers.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    BatchRenorm,
    ConditionalBatchNorm,
    FrozenBatchNorm2d,
    GhostBatchNorm,
)

__all__ = ["fold_batch_norm"]

NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchRenorm, FrozenBatchNorm2d, GhostBatchNorm)
CONVOLUTIONS = (Conv1d, Conv2d, Conv3d)
TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
FOLDED = (Linear, *CONVOLUTIONS, *TRANSPOSED)


class Folded(mg.Module):
    """What stands where a batch norm was: it gives its input, and refuses those that the norm would have taken
    otherwise.
    """

    def __init__(self, ndim: int, num_features: int) -> None:
        self.ndim, self.num_features = ndim, num_features

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x as it is.

        Raises:
            ShapeError: axis 1 is not that of the features which the layer before makes.
        """
        if x.ndim != self.ndim:
            raise ShapeError(
                f"fold_batch_norm: x has shape {x.shape} where a batch norm of {self.num_features} features was folded "
                f"into a layer whose features are axis 1 of {self.ndim} axes; use the model that was not folded"
            )
        return x

    def extra_repr(self) -> str:
        """What it expects."""
        return f"{self.num_features}, ndim={self.ndim}"


def fold_batch_norm(model: mg.Module, pairs: Iterable[tuple[str, str]] = (), *, strict: bool = True) -> mg.Module:
    """A copy of `model` for inference in which batch norms are part of the layers before them.

    In evaluation a batch norm is y = a x + b for each channel, a = weight / sqrt(running_var + eps) and
    b = bias - a running_mean, which a dense layer, a convolution or a transposed one (grouped too) before it can do as
    well. The copy is in evaluation and equal to `model.eval()` to rounding; `model` is left alone. It is not for
    training: what was folded is gone.

    Args:
        model: its `Sequential`s say what comes after what, one inside another too.
        pairs: names of layers and of the batch norms right behind them, `("conv1", "bn1")`, where a `forward` of its
            own says so; nothing else may take what lies between.
        strict: raise where a batch norm stays; False leaves it as it is.

    Returns:
        The copy; `Folded` stands where a batch norm was, so that the other names stay.

    Raises:
        ArgumentError: a batch norm that is not right behind such a layer, keeps no statistics, has another number of
            features, or is used twice, as is its layer; a name of a pair that is no such layer.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import BatchNorm1d, Linear, ReLU, Sequential
        >>> model = Sequential(Linear(3, 4, bias=False), BatchNorm1d(4), ReLU())
        >>> fold_batch_norm(model)
        Sequential(
          (0): Linear(in_features=3, out_features=4, bias=True)
          (1): Folded(4, ndim=2)
          (2): ReLU()
        )
    """
    made = copy.deepcopy(model)
    places = dict(_places(made))
    uses: dict[int, int] = {}
    for module in places.values():
        uses[id(module)] = uses.get(id(module), 0) + 1
    given = [*pairs]
    for pair in given:
        if len(pair) != 2 or not all(name in places for name in pair):
            raise ArgumentError(f"fold_batch_norm: pairs has {pair!r}, which must be two names of modules of the model")
        if not isinstance(places[pair[1]], NORMS):
            raise ArgumentError(f"fold_batch_norm: {pair[1]} is a {type(places[pair[1]]).__name__}, no batch norm")
    behind = {**_sequences(made), **{norm: layer for layer, norm in given}}
    left = []
    for name, norm in places.items():
        if isinstance(norm, (*NORMS, ConditionalBatchNorm)):
            before = behind.get(name)
            layer = None if before is None else places[before]
            why = _refusal(norm, layer, uses)
            if why:
                left.append(f"{name} ({why})")
                if name in (pair[1] for pair in given):
                    raise ArgumentError(f"fold_batch_norm: {before} and {name}: {why}")
                continue
            _fold(layer, norm)
            ndim = 2 if isinstance(layer, Linear) else layer.weight.ndim  # type: ignore[union-attr]
            _replace(made, name, Folded(ndim, norm.num_features))
    if left and strict:
        raise ArgumentError(
            f"fold_batch_norm: not folded: {'; '.join(left)}. Name layers and norms that follow them with pairs=, or "
            "leave these as they are with strict=False"
        )
    return made.eval()


def _refusal(norm: Any, layer: Any, uses: dict[int, int]) -> str:
    """Why a norm cannot be part of a layer; "" if it can."""
    if type(norm) not in NORMS:
        return f"a {type(norm).__name__} may do more than scale and shift each channel"
    if norm.running_mean is None:
        return "it keeps no running statistics"
    if type(layer) not in FOLDED:
        known = "no layer is known to be before it" if layer is None else f"before it is a {type(layer).__name__}"
        return f"{known}, not a dense layer or convolution"
    out = layer.out_features if isinstance(layer, Linear) else layer.out_channels
    if out != norm.num_features:
        return f"the {type(layer).__name__} before it has {out} outputs for its {norm.num_features} features"
    if uses[id(norm)] > 1 or uses[id(layer)] > 1 or _shared(layer, uses):
        return "it or the layer before it is used in several places"
    return ""


def _shared(layer: mg.Module, uses: dict[int, int]) -> bool:
    return any(uses.get(id(p), 0) > 1 for p in layer.parameters())


def _places(module: mg.Module, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every place that holds a module or parameter, under its name; what stands in two places comes twice."""
    for name, value in _held(vars(module)):
        where = f"{path}.{name}" if path else name
        if isinstance(value, (mg.Module, mg.Parameter)):
            yield where, value
        if isinstance(value, mg.Module):
            yield from _places(value, where)


def _held(values: Any) -> Iterator[tuple[str, Any]]:
    """Attributes, and the elements of lists, tuples and dicts among them, by dotted names."""
    for name, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, (dict, list, tuple)):
            yield from ((f"{name}.{inner}", v) for inner, v in _held(value))
        else:
            yield str(name), value


def _sequences(model: mg.Module) -> dict[str, str]:
    """For each module that comes right after another one in a `Sequential`, the name of that one."""
    behind: dict[str, str] = {}

    def leaves(module: Any, path: str) -> Iterator[str]:
        for name in (n for n, v in _held(vars(module)) if isinstance(v, mg.Module)):
            where = f"{path}.{name}" if path else name
            child = vars(module)[name]
            if type(child) is Sequential:
                yield from leaves(child, where)
            elif not isinstance(child, Identity):
                yield where

    for path, module in [("", model), *_places(model)]:
        if type(module) is Sequential:
            names = [*leaves(module, path)]
            behind.update(zip(names[1:], names, strict=False))
    return behind


def _fold(layer: Any, norm: Any) -> None:
    """The layer's weight and bias times a, plus b; computed in float64."""
    mean = mg.astype(norm.running_mean, "float64")
    if isinstance(norm, BatchRenorm):
        a = 1.0 / mg.astype(norm.running_std, "float64")
    else:
        a = mg.rsqrt(mg.astype(norm.running_var, "float64") + norm.eps)
    a = a if norm.weight is None else a * mg.astype(norm.weight, "float64")
    old = mg.zeros_like(mean) if layer.bias is None else mg.astype(layer.bias, "float64")
    b = (old - mean) * a
    b = b if norm.bias is None else b + mg.astype(norm.bias, "float64")
    weight = layer.weight
    wide = mg.astype(weight, "float64")
    if isinstance(layer, TRANSPOSED):  # (in, out / groups, …): the groups are blocks of rows
        groups, (rows, columns) = layer.groups, weight.shape[:2]
        blocks = mg.reshape(wide, (groups, rows // groups, columns, math.prod(weight.shape[2:])))
        wide = mg.reshape(blocks * mg.reshape(a, (groups, 1, columns, 1)), weight.shape)
    else:
        wide = wide * mg.reshape(a, (-1,) + (1,) * (weight.ndim - 1))
    layer.weight = mg.Parameter(mg.astype(wide, weight.dtype).detach(), requires_grad=weight.requires_grad)
    layer.bias = mg.Parameter(mg.astype(b, weight.dtype).detach(), requires_grad=weight.requires_grad)


def _inside(holder: Any) -> Any:
    return vars(holder) if isinstance(holder, mg.Module) else holder


def _replace(model: mg.Module, name: str, by: mg.Module) -> None:
    """Another module in the place of that name."""
    holder: Any = model
    *path, last = name.split(".")
    for step in path:
        holder = _inside(holder)[int(step) if isinstance(holder, (list, tuple)) else step]
    if isinstance(holder, mg.Module):
        setattr(holder, last, by)
    else:
        holder[int(last) if isinstance(holder, list) else last] = by
