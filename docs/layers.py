"""Writes docs/layers.md, the listing of the layers by family: `python docs/layers.py`, or `scripts/docs`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import minigrad_layers

PAGE = Path(__file__).with_name("layers.md")
HEAD = """# Layers

What `minigrad-layers` holds, a family a file or folder of [`layers/minigrad_layers`](../layers/minigrad_layers);
`docs/layers.py` writes this page. Arguments, attribute names and `repr` are PyTorch's where it has the layer, and
`tests/data/peers` holds values, gradients, state and initial values to it. An argument that is not taken
(`inplace=True`, `max_norm`, `return_indices`, `attn_mask`) is refused by its name, with what to do. How to write one:
[layers/README.md](../layers/README.md).
"""


def page() -> str:
    """The text of the page, from the layers' own docstrings and signatures."""
    families: dict[str, list[type]] = {}
    for name in sorted(minigrad_layers.__all__, key=str.lower):
        cls = getattr(minigrad_layers, name)
        families.setdefault(cls.__module__.split(".")[1], []).append(cls)
    parts = [HEAD]
    for family, classes in sorted(families.items()):
        parts.append(f"\n## {family.capitalize()}\n\n| layer | what it is |\n| --- | --- |\n")
        parts += [f"| `{_call(cls)}` | {_summary(cls)} |\n" for cls in classes]
    return "".join(parts)


def _call(cls: type) -> str:
    """The constructor, but for where its parameters lie."""
    shown = []
    for p in inspect.signature(cls).parameters.values():
        if p.name in ("device", "dtype"):
            continue
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        shown.append(star + p.name + ("" if p.default is p.empty else f"={p.default!r}"))
    return f"{cls.__name__}({', '.join(shown)})".replace("|", "\\|")


def _summary(cls: type) -> str:
    """The first paragraph of the docstring on one line."""
    first = (inspect.getdoc(cls) or "").partition("\n\n")[0]
    return re.sub(r"\s+", " ", first).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
