"""Recurrent layers over sequences: some cells on top of each other, forwards and, if asked, backwards in time."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.dropout import Dropout
from minigrad_layers.recurrent import steps
from minigrad_layers.recurrent.norms import Norms, norms


class _Recurrent(mg.Module):
    """What the three layers share: parameters for each layer and direction, and the way through the sequence."""

    _kind: steps.Kind
    dropout: Dropout | None

    def _build(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        norm: str | None,
        device: Any,
        dtype: Any,
    ) -> None:
        kind, options = type(self).__name__, {"device": device, "dtype": dtype or "float32"}
        self.input_size = mg.arguments.integer(input_size, "input_size", kind, 1)
        self.hidden_size = mg.arguments.integer(hidden_size, "hidden_size", kind, 1)
        self.num_layers = mg.arguments.integer(num_layers, "num_layers", kind, 1)
        self.bias = mg.arguments.flag(bias, "bias", kind)
        self.batch_first = mg.arguments.flag(batch_first, "batch_first", kind)
        self.bidirectional = mg.arguments.flag(bidirectional, "bidirectional", kind)
        self.proj_size = mg.arguments.integer(proj_size, "proj_size", kind, 0)
        if proj_size >= hidden_size:
            raise ArgumentError(f"{kind}: proj_size={proj_size} must be less than hidden_size={hidden_size}")
        if dropout and num_layers == 1:
            raise ArgumentError(
                f"{kind}: dropout={dropout} acts between layers, and num_layers=1; put a Dropout behind it"
            )
        size = input_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                steps.weights(self, self._kind, (size, hidden_size, proj_size), bias, options, suffix)
                made = norms(kind, norm, self._kind.parts, hidden_size, self._kind.states == 2, options)
                setattr(self, f"norm{suffix}", made)
            size = (proj_size or hidden_size) * (1 + bidirectional)
        self.dropout = Dropout(dropout) if dropout else None

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        """Of the names of a layer's parameters, for each direction."""
        return (f"_l{layer}", f"_l{layer}_reverse")[: 1 + self.bidirectional]

    def _run(self, x: mg.Tensor, state: steps.States | None) -> tuple[mg.Tensor, steps.States]:
        """The outputs of the last layer at all times, and the last states, (directions layers, n, size)."""
        kind = type(self).__name__
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            axes = "(n, times, input_size)" if self.batch_first else "(times, n, input_size)"
            raise ShapeError(
                f"{kind}: x has shape {x.shape}, it must be {axes} or (times, input_size) with input_size = "
                f"{self.input_size}"
            )
        turned = self.batch_first and x.ndim == 3
        x = mg.swapaxes(x, 0, 1) if turned else x
        if not x.shape[0]:
            raise ShapeError(f"{kind}: x has shape {x.shape}, a sequence without a time")
        given = None if state is None else self._given(x, state)
        last: list[steps.States] = []
        for layer in range(self.num_layers):
            if layer and self.dropout is not None:
                x = self.dropout(x)
            outputs = []
            for suffix in self._suffixes(layer):
                begin = None if given is None else given[len(last)]
                out, end = self._direction(x, begin, suffix)
                outputs.append(out)
                last.append(end)
            x = mg.concat(outputs, axis=-1) if self.bidirectional else outputs[0]
        ends = tuple(mg.stack([end[k] for end in last]) for k in range(self._kind.states))
        return mg.swapaxes(x, 0, 1) if turned else x, ends

    def _given(self, x: mg.Tensor, state: steps.States) -> list[steps.States]:
        """The states that each layer and direction begins with."""
        many, sizes = self.num_layers * (1 + self.bidirectional), (self.proj_size or self.hidden_size, self.hidden_size)
        wanted = [(many, *x.shape[1:-1], size) for size in sizes[: self._kind.states]]
        if [s.shape for s in state] != wanted:
            raise ShapeError(
                f"{type(self).__name__}: hx has shapes {', '.join(str(s.shape) for s in state)}, it must be "
                f"{' and '.join(map(str, wanted))}: (layers and directions, n, size)"
            )
        return list(zip(*(mg.unstack(s) for s in state), strict=True))

    def _direction(self, x: mg.Tensor, state: steps.States | None, suffix: str) -> tuple[mg.Tensor, steps.States]:
        """Through all times in one layer and direction."""
        norm: Norms | None = getattr(self, f"norm{suffix}")
        w = steps.of(self, suffix)
        times = mg.unstack(steps.inputs(self._kind, x, w, norm))
        state = steps.start(times[0], self._kind, (0, self.hidden_size, self.proj_size)) if state is None else state
        backwards, outputs = suffix.endswith("_reverse"), []
        for t, a in enumerate(reversed(times) if backwards else times):
            state = steps.advance(self._kind, a, state, w, norm, t)
            outputs.append(state[0])
        return mg.stack(outputs[::-1] if backwards else outputs), state

    def extra_repr(self) -> str:
        """PyTorch's: what has its usual value is left out."""
        text = f"{self.input_size}, {self.hidden_size}"
        text += f", proj_size={self.proj_size}" if self.proj_size else ""
        text += f", num_layers={self.num_layers}" if self.num_layers != 1 else ""
        text += "" if self.bias else ", bias=False"
        text += ", batch_first=True" if self.batch_first else ""
        text += f", dropout={self.dropout.p}" if self.dropout is not None else ""
        return text + (", bidirectional=True" if self.bidirectional else "")


@mg.register_layer
class RNN(_Recurrent):
    """hₜ = tanh(W xₜ + b + U hₜ₋₁ + c) through a sequence; see `LSTM` for the arguments that it shares.

    Args:
        nonlinearity: "tanh" or "relu".

    Source: Elman, "Finding structure in time", Cognitive Science 14, 1990.

    Example:
        >>> import minigrad as mg
        >>> y, h = RNN(3, 4, num_layers=2)(mg.ones((5, 2, 3), dtype="float32"))
        >>> y.shape, h.shape
        ((5, 2, 4), (2, 2, 4))
    """

    samples = (
        mg.Sample((2, 3), inputs=((3, 2, 2), (1, 2, 3)), batch=None),
        mg.Sample((2, 2), {"bidirectional": True, "batch_first": True}, inputs=((2, 2, 2),)),
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        norm: str | None = None,
    ) -> None:
        if nonlinearity not in steps.RNNS:
            raise ArgumentError(f"RNN: nonlinearity={nonlinearity!r} must be 'tanh' or 'relu'")
        self.nonlinearity, self._kind = nonlinearity, steps.RNNS[nonlinearity]
        self._build(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, norm, device, dtype
        )

    def forward(self, x: mg.Tensor, hx: mg.Tensor | None = None) -> tuple[mg.Tensor, mg.Tensor]:
        """x and the first h, zeros unless given, to the outputs at all times and the last h."""
        y, (h,) = self._run(x, None if hx is None else (hx,))
        return y, h


@mg.register_layer
class LSTM(_Recurrent):
    """cₜ = σ(f) cₜ₋₁ + σ(i) tanh(g), hₜ = σ(o) tanh(cₜ) through a sequence, (i, f, g, o) = W xₜ + b + U hₜ₋₁ + c.

    Args:
        input_size, hidden_size: of x, and of h and c.
        num_layers: how many lie on top of each other.
        bias: whether there are b and c.
        batch_first: whether sequences are (n, times, …), else (times, n, …); states are (…, n, …) in both cases.
        dropout: between layers, as a child module that draws a mask of its own for each layer and call.
        bidirectional: whether each layer also goes backwards in time; its outputs stand behind the others.
        proj_size: what h is projected to by `weight_hr`, if not 0.
        device, dtype: of the parameters; float32 by default.
        norm: "layer" normalizes both products, before the biases, and c on its way to h.

    Parameters have PyTorch's names, `weight_ih_l0` (4 hidden_size, input_size), `weight_hh_l0`, `bias_ih_l0`,
    `bias_hh_l0`, then `_l0_reverse`, `_l1`, …, the gates in the order i, f, g, o; all start evenly on
    ±1 / sqrt(hidden_size).

    Source: Hochreiter, Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; with the forget gate of Gers,
    Schmidhuber, Cummins, 2000.

    Raises:
        ArgumentError: dropout where there is one layer, an unknown norm, or a proj_size that is not below hidden_size.
        ShapeError: an input or a state that does not fit.

    Example:
        >>> import minigrad as mg
        >>> y, (h, c) = LSTM(3, 4, bidirectional=True)(mg.ones((5, 2, 3), dtype="float32"))
        >>> y.shape, h.shape, c.shape
        ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    _kind = steps.LSTM
    samples = (
        mg.Sample((2, 2), inputs=((3, 1, 2), ((1, 1, 2), (1, 1, 2))), batch=None),
        mg.Sample((1, 2, 2), {"dropout": 0.5, "batch_first": True}, inputs=((2, 2, 1),)),
        mg.Sample((1, 2), {"proj_size": 1, "norm": "layer"}, inputs=((2, 1),), batch=None),
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: Any = None,
        *,
        norm: str | None = None,
    ) -> None:
        self._build(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            norm,
            device,
            dtype,
        )

    def forward(
        self, x: mg.Tensor, hx: tuple[mg.Tensor, mg.Tensor] | None = None
    ) -> tuple[mg.Tensor, tuple[mg.Tensor, mg.Tensor]]:
        """x and the first (h, c), zeros unless given, to the outputs at all times and the last (h, c)."""
        y, (h, c) = self._run(x, None if hx is None else tuple(hx))
        return y, (h, c)


@mg.register_layer
class GRU(_Recurrent):
    """hₜ = (1 - z) n + z hₜ₋₁, n = tanh(xₙ + r hₙ) through a sequence; see `LSTM` for the arguments that it shares.

    The reset gate r multiplies the product of h, as in PyTorch and cuDNN (the paper's multiplies h itself). The gates
    stand in the order r, z, n.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    EMNLP 2014.

    Example:
        >>> import minigrad as mg
        >>> y, h = GRU(3, 4, batch_first=True)(mg.ones((2, 5, 3), dtype="float32"))
        >>> y.shape, h.shape
        ((2, 5, 4), (1, 2, 4))
    """

    _kind = steps.GRU
    samples = (
        mg.Sample((2, 2), inputs=((2, 2, 2), (1, 2, 2)), batch=None),
        mg.Sample((1, 2), {"batch_first": True, "norm": "layer"}, inputs=((1, 2, 1),)),
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: Any = None,
        *,
        norm: str | None = None,
    ) -> None:
        self._build(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, norm, device, dtype
        )

    def forward(self, x: mg.Tensor, hx: mg.Tensor | None = None) -> tuple[mg.Tensor, mg.Tensor]:
        """x and the first h, zeros unless given, to the outputs at all times and the last h."""
        y, (h,) = self._run(x, None if hx is None else (hx,))
        return y, h
