"""Drawings in notebooks: by our own way to the engine, fitted into the cell, light or dark as the page is."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache
from typing import Any

from minigrad.errors import RenderError
from minigrad.graph.rendering import render


class Displayed:
    """DOT texts of one drawing, for a light page and for a dark one, that a notebook shows as a picture.

    Where there is no engine it shows the DOT text, and what to install.
    """

    def __init__(self, sources: Sequence[str], text: str) -> None:
        self._sources, self._text = sources, text

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            pictures = [render(source, "svg") for source in self._sources]
        except RenderError as problem:
            return {"text/plain": f"{problem}\n\n{self._sources[0]}"}
        return {"text/plain": self._text, "text/html": _html(pictures), "image/svg+xml": pictures[0].decode()}


def _html(pictures: Sequence[bytes]) -> str:
    """Images, whose text cannot run away with the page's styles; a browser takes the one that suits it."""
    light, *dark = (f"data:image/svg+xml;base64,{base64.b64encode(p).decode()}" for p in pictures)
    other = f'<source media="(prefers-color-scheme: dark)" srcset="{dark[0]}">' if dark else ""
    return f'<picture>{other}<img alt="computation graph" style="max-width:100%;height:auto" src="{light}"></picture>'


@cache
def digraph() -> Any:
    """`graphviz.Digraph`, but a notebook shown wherever `render` finds an engine; the package looks for `dot` only."""
    import graphviz  # only a drawing needs it

    class Drawing(graphviz.Digraph):  # type: ignore[misc]  # the package has no types
        def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, str]:
            return Displayed([self.source], self.source)._repr_mimebundle_(include, exclude)

    return Drawing
