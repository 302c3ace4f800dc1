"""Embedding: a learnt vector for each of a number of things."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.errors import ArgumentError, DtypeError
from minigrad_layers.options import refuse

__all__ = ["Embedding"]


@mg.register_layer
class Embedding(mg.Module):
    """The rows of a learnt table at the given positions.

    Args:
        num_embeddings: rows of the table; positions go from 0 to one less.
        embedding_dim: size of a row.
        padding_idx: a position that stands for nothing: its row starts at 0 and gets no gradient. Negative ones count
            from the end.
        max_norm: not taken, for it would rewrite the table in a forward pass; call `renormalize(max_norm)` after each
            step of the optimiser.
        norm_type: of `max_norm`.
        scale_grad_by_freq, sparse: not taken.
        device, dtype: of the parameter; float32 by default.

    `weight` (num_embeddings, embedding_dim) starts normal with mean 0 and standard deviation 1, as in PyTorch.

    Raises:
        ArgumentError: a size under 1, or a padding_idx outside the table.
        DtypeError: positions that are no integers.
        BoundsError: a position outside the table.

    Example:
        >>> import minigrad as mg
        >>> words = Embedding(10, 3, padding_idx=0)
        >>> words(mg.tensor([[1, 2], [4, 0]])).shape, words(mg.tensor([0])).tolist()
        ((2, 2, 3), [[0.0, 0.0, 0.0]])
    """

    samples = (
        mg.Sample((5, 3), inputs=((mg.domains.below(5), (2, 4)),)),
        mg.Sample((4, 2), {"padding_idx": -1}, inputs=((mg.domains.below(4), (6,)),)),
    )

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        num_embeddings = mg.arguments.integer(num_embeddings, "num_embeddings", "Embedding", 1)
        embedding_dim = mg.arguments.integer(embedding_dim, "embedding_dim", "Embedding", 1)
        if max_norm is not None:
            why = "call renormalize(max_norm) after each step of the optimiser; a forward pass changes no parameter"
            refuse(self, "max_norm", max_norm, why)
        if scale_grad_by_freq:
            refuse(self, "scale_grad_by_freq", True, "the gradient is that of the loss; weigh the loss in its place")
        if sparse:
            refuse(self, "sparse", True, "gradients are arrays; leave it out")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(f"Embedding: padding_idx={padding_idx} must be in a table of {num_embeddings} rows")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        table = mg.init.normal((num_embeddings, embedding_dim), dtype=dtype or "float32", device=device)
        if self.padding_idx is not None:
            table = mg.where((mg.arange(num_embeddings, device=device) == self.padding_idx)[:, None], 0.0, table)
        self.weight = mg.Parameter(table)

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """A layer whose table is a copy of `embeddings`, (rows, size of a row), and by default is not learnt.

        Example:
            >>> import minigrad as mg
            >>> Embedding.from_pretrained(mg.tensor([[1.0, 2.0], [3.0, 4.0]]))(mg.tensor(1))
            tensor([3., 4.])
        """
        table = mg.tensor(embeddings)
        if table.ndim != 2:
            raise mg.errors.ShapeError(f"Embedding: embeddings have shape {table.shape}, they must be (rows, size)")
        rows, size = table.shape
        made = cls(rows, size, padding_idx=padding_idx, dtype=table.dtype, device=table.device)
        made.weight.data = table.data
        made.weight.requires_grad = not freeze
        return made

    def forward(self, indices: mg.Tensor) -> mg.Tensor:
        """Integers of any shape (…) to (…, embedding_dim)."""
        if np.dtype(indices.dtype).kind not in "iu":
            raise DtypeError(f"Embedding: positions have dtype {indices.dtype}, not integers; x.astype('int64')")
        rows = mg.take(self.weight, indices, axis=0)
        if self.padding_idx is None:
            return rows
        nothing = mg.expand_dims(indices == self.padding_idx, -1)
        return mg.where(nothing, mg.stop_gradient(rows, why="padding_idx"), rows)

    def renormalize(self, max_norm: float, norm_type: float = 2.0) -> Embedding:
        """Shorten each row that is longer than `max_norm` to that length, as PyTorch's `max_norm` does to rows in use.

        Example:
            >>> import minigrad as mg
            >>> Embedding.from_pretrained(mg.tensor([[0.0, 4.0], [0.3, 0.4]])).renormalize(1.0).weight.tolist()
            [[0.0, 1.0], [0.3, 0.4]]
        """
        if not max_norm > 0 or not math.isfinite(max_norm):
            raise ArgumentError(f"renormalize: max_norm={max_norm} must be a number above 0")
        with mg.no_grad():
            length = mg.linalg.norm(self.weight, axis=1, keepdims=True, ord=norm_type)
            self.weight.data = (self.weight * (max_norm / mg.maximum(length, max_norm))).data
        return self

    def extra_repr(self) -> str:
        """PyTorch's."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
