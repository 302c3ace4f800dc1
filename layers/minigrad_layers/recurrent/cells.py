"""Recurrent cells: one step in time, for loops of your own."""

from __future__ import annotations

from typing import Any

import minigrad as mg
from minigrad.errors import ArgumentError, ShapeError
from minigrad_layers.recurrent import steps
from minigrad_layers.recurrent.norms import Norms, norms


class _Cell(mg.Module):
    """What the three cells share: sizes, parameters, and one step."""

    _kind: steps.Kind
    norm: Norms | None

    def _build(self, input_size: int, hidden_size: int, bias: bool, norm: str | None, device: Any, dtype: Any) -> None:
        kind, options = type(self).__name__, {"device": device, "dtype": dtype or "float32"}
        self.input_size = mg.arguments.integer(input_size, "input_size", kind, 1)
        self.hidden_size = mg.arguments.integer(hidden_size, "hidden_size", kind, 1)
        self.bias = mg.arguments.flag(bias, "bias", kind)
        steps.weights(self, self._kind, (input_size, hidden_size, 0), bias, options)
        self.norm = norms(kind, norm, self._kind.parts, hidden_size, self._kind.states == 2, options)

    def _advance(self, x: mg.Tensor, state: steps.States | None, t: int) -> steps.States:
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: x has shape {x.shape}, it must be (n, input_size) or (input_size,) with "
                f"input_size = {self.input_size}"
            )
        w = steps.of(self)
        a = steps.inputs(self._kind, x, w, self.norm)
        state = steps.start(a, self._kind, (self.input_size, self.hidden_size, 0)) if state is None else state
        wanted = (*x.shape[:-1], self.hidden_size)
        if len(state) != self._kind.states or any(s.shape != wanted for s in state):
            raise ShapeError(
                f"{type(self).__name__}: hx has shapes {', '.join(str(s.shape) for s in state)}; "
                + ("it must be (h, c), both " if self._kind.states == 2 else "it must be ")
                + str(wanted)
            )
        return steps.advance(self._kind, a, state, w, self.norm, t)

    def extra_repr(self) -> str:
        """PyTorch's."""
        text = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
        usual = getattr(self, "nonlinearity", "tanh")
        return text + ("" if usual == "tanh" else f", nonlinearity={usual}")


@mg.register_layer
class RNNCell(_Cell):
    """h' = tanh(W x + b + U h + c), one step of `RNN`.

    Args:
        input_size, hidden_size: of x and h.
        bias: whether there are b and c.
        nonlinearity: "tanh" or "relu".
        norm: "layer" normalizes both products, before the biases.
        device, dtype: of the parameters; float32 by default.

    `weight_ih` (hidden_size, input_size), `weight_hh` (hidden_size, hidden_size), `bias_ih` and `bias_hh` start evenly
    on ±1 / sqrt(hidden_size), as in PyTorch.

    Example:
        >>> import minigrad as mg
        >>> RNNCell(3, 4)(mg.ones((2, 3), dtype="float32")).shape
        (2, 4)
    """

    samples = (
        mg.Sample((3, 2), inputs=((2, 3), (2, 2))),
        mg.Sample((2, 3, False), {"norm": "layer"}, inputs=((2, 2),)),
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: str | None = None,
        dtype: Any = None,
        *,
        norm: str | None = None,
    ) -> None:
        if nonlinearity not in steps.RNNS:
            raise ArgumentError(f"RNNCell: nonlinearity={nonlinearity!r} must be 'tanh' or 'relu'")
        self.nonlinearity, self._kind = nonlinearity, steps.RNNS[nonlinearity]
        self._build(input_size, hidden_size, bias, norm, device, dtype)

    def forward(self, x: mg.Tensor, hx: mg.Tensor | None = None, *, t: int = 0) -> mg.Tensor:
        """(n, input_size) and h (n, hidden_size), zeros unless given, to the next h; t counts the steps."""
        return self._advance(x, None if hx is None else (hx,), t)[0]


@mg.register_layer
class LSTMCell(_Cell):
    """c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'), one step of `LSTM`; (i, f, g, o) = W x + b + U h + c.

    Args:
        input_size, hidden_size: of x, and of h and c.
        bias: whether there are b and c.
        norm: "layer" normalizes both products, before the biases, and c' on its way to h'.
        device, dtype: of the parameters; float32 by default.

    `weight_ih` (4 hidden_size, input_size), `weight_hh` (4 hidden_size, hidden_size), `bias_ih` and `bias_hh`, the
    gates in the order i, f, g, o, start evenly on ±1 / sqrt(hidden_size), as in PyTorch.

    Source: Hochreiter, Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; with the forget gate of Gers,
    Schmidhuber, Cummins, 2000.

    Example:
        >>> import minigrad as mg
        >>> h, c = LSTMCell(3, 4)(mg.ones((2, 3), dtype="float32"))
        >>> h.shape, c.shape
        ((2, 4), (2, 4))
    """

    _kind = steps.LSTM
    samples = (
        mg.Sample((2, 2), inputs=((2, 2), ((2, 2), (2, 2)))),
        mg.Sample((2, 2), {"norm": "layer"}, inputs=((2, 2),)),
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        norm: str | None = None,
    ) -> None:
        self._build(input_size, hidden_size, bias, norm, device, dtype)

    def forward(
        self, x: mg.Tensor, hx: tuple[mg.Tensor, mg.Tensor] | None = None, *, t: int = 0
    ) -> tuple[mg.Tensor, mg.Tensor]:
        """(n, input_size) and (h, c), both (n, hidden_size), zeros unless given, to the next (h, c); t counts steps."""
        h, c = self._advance(x, None if hx is None else tuple(hx), t)
        return h, c


@mg.register_layer
class GRUCell(_Cell):
    """h' = (1 - z) n + z h, n = tanh(xₙ + r hₙ), one step of `GRU`; r and z are the reset and the update gate.

    The reset gate multiplies the product of h, as in PyTorch and cuDNN (the paper's multiplies h itself).

    Args:
        input_size, hidden_size: of x and h.
        bias: whether there are biases.
        norm: "layer" normalizes both products, before the biases; that of the gates and that of n by themselves.
        device, dtype: of the parameters; float32 by default.

    `weight_ih` (3 hidden_size, input_size), `weight_hh` (3 hidden_size, hidden_size), `bias_ih` and `bias_hh`, the
    gates in the order r, z, n, start evenly on ±1 / sqrt(hidden_size), as in PyTorch.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    EMNLP 2014.

    Example:
        >>> import minigrad as mg
        >>> GRUCell(3, 4)(mg.ones((2, 3), dtype="float32")).shape
        (2, 4)
    """

    _kind = steps.GRU
    samples = (
        mg.Sample((2, 2), inputs=((2, 2), (2, 2))),
        mg.Sample((2, 2), {"norm": "layer"}, inputs=((2, 2),)),
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        norm: str | None = None,
    ) -> None:
        self._build(input_size, hidden_size, bias, norm, device, dtype)

    def forward(self, x: mg.Tensor, hx: mg.Tensor | None = None, *, t: int = 0) -> mg.Tensor:
        """(n, input_size) and h (n, hidden_size), zeros unless given, to the next h; t counts the steps."""
        return self._advance(x, None if hx is None else (hx,), t)[0]
