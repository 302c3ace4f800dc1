"""A table of a module: each layer with the shape of its output and the number of its parameters."""

from __future__ import annotations

import html
from typing import Any

from minigrad.core import BOXES, MODES, Tensor, change
from minigrad.core.modes import Watcher
from minigrad.module.base import Module
from minigrad.ops.creation import zeros

_TITLES = ("layer", "output", "parameters")


class _Shapes(Watcher):
    """A watcher that notes, for every layer, the shape of the last result before it was left."""

    def __init__(self, x: Tensor) -> None:
        self.last: tuple[int, ...] = x.shape
        self.open: list[Any] = []
        self.found: dict[int, tuple[int, ...]] = {}

    def forward(self, op: Any, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
        if type(out) in BOXES:
            self.last = out.shape

    def enter(self, kind: str, name: str, subject: Any, given: Any) -> None:
        self.open.append(subject)

    def leave(self) -> None:
        self.found[id(self.open.pop())] = self.last


class Summary(str):
    """The text of a summary, which a notebook shows as a table and a console as it is."""

    rows: list[tuple[str, str, str]]
    total: str

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head, *body = (
            "".join(
                f'<{tag} style="text-align:{"right" if k == 2 else "left"}">{html.escape(cell)}</{tag}>'
                for k, cell in enumerate(row)
            )
            for tag, row in (("th", self.rows[0]), *(("td", row) for row in self.rows[1:]))
        )
        lines = "".join(f"<tr>{row}</tr>" for row in body)
        caption = f'<caption style="caption-side:bottom;text-align:left">{html.escape(self.total)}</caption>'
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def summary(model: Module, shape: tuple[int, ...]) -> Summary:
    """What becomes of an input of `shape` (the batch included) in each layer, as a table.

    It is a string, which a notebook shows as a table.

    The model runs once on zeros, in evaluation mode and without recording, and is left as it was.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import Linear, ReLU, Sequential
        >>> print(mg.summary(Sequential(Linear(3, 4), ReLU()), (1, 3)))
        layer       output  parameters
        Sequential  (1, 4)
        0 Linear    (1, 4)          16
        1 ReLU      (1, 4)           0
        16 parameters, 16 of them trained
    """
    first = next(model.parameters(), None)
    dtype, device = (first.dtype, first.device) if first is not None else ("float32", None)
    x = zeros(shape, dtype=dtype, device=device)
    watcher = _Shapes(x)
    flags = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        with change(recording=False, watchers=(*MODES.get().watchers, watcher)):
            model(x)
    finally:
        for m, flag in flags:
            m.training = flag
    rows: list[tuple[str, str, str]] = [_TITLES]
    for path, m in model.named_modules():
        count = "" if any(True for _ in m.children()) else f"{_count(m):,}"
        held = " (frozen)" if m.frozen else ""
        rows.append((f"{path} {type(m).__name__}{held}".strip(), str(watcher.found.get(id(m), "not called")), count))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}".rstrip() for a, b, c in rows]
    learnt = sum(p.size for p in model.parameters() if p.requires_grad)
    total = f"{_count(model):,} parameters, {learnt:,} of them trained"
    out = Summary("\n".join([*lines, total]))
    out.rows, out.total = rows, total
    return out


def _count(model: Module) -> int:
    return sum(p.size for p in model.parameters())
