"""How a graph is to be drawn: the arguments of `save` and `dot`, checked, and the colours of the two themes."""

from __future__ import annotations

from typing import Any, NamedTuple

from minigrad.errors import ArgumentError

PASSES = ("forward", "backward", "both")
SHOW = ("shape", "dtype", "value", "grad", "formula", "source", "bytes", "state", "random")
DIRECTIONS = ("TB", "LR")
_VALID = {"passes": PASSES, "direction": DIRECTIONS}


class Colours(NamedTuple):
    """One theme. Each kind of box has a fill and a border; text is the same on all of them."""

    page: str
    text: str
    faint: str
    edge: str
    gradient: str  # text and lines of the backward pass
    fills: dict[str, tuple[str, str]]
    clusters: tuple[tuple[str, str], ...]  # fill and border by nesting


LIGHT = Colours(
    page="#ffffff",
    text="#1f2933",
    faint="#66727f",
    edge="#5b6770",
    gradient="#b02a4c",
    fills={
        "input": ("#dcebfb", "#3d7ab8"),
        "parameter": ("#fdf0cf", "#b98500"),
        "buffer": ("#f3ead8", "#9a7d4a"),
        "constant": ("#f1f3f5", "#b4bcc4"),
        "op": ("#ffffff", "#7b8794"),
        "random": ("#e2f5e5", "#3f9150"),
        "update": ("#fbe6d4", "#c2691c"),
        "layer": ("#e6e6f8", "#5a5ab8"),
        "composite": ("#eeeef7", "#8484b8"),
        "backward": ("#fbe9ee", "#c8577a"),
        "missing": ("#f6f6f6", "#a7a7a7"),
    },
    clusters=(("#f7f8fa", "#c5ccd4"), ("#eef1f5", "#b6bfc9"), ("#e6eaf0", "#a8b3bf")),
)
DARK = Colours(
    page="#14181d",
    text="#e8edf2",
    faint="#9aa7b4",
    edge="#93a0ad",
    gradient="#ff8fab",
    fills={
        "input": ("#16324e", "#5aa2e8"),
        "parameter": ("#443709", "#d9ac2b"),
        "buffer": ("#3a3020", "#b79b66"),
        "constant": ("#242a31", "#56616d"),
        "op": ("#222931", "#7f8c99"),
        "random": ("#163a20", "#5cb670"),
        "update": ("#472b10", "#e08b3f"),
        "layer": ("#2a2a52", "#8a8aea"),
        "composite": ("#272742", "#7676b4"),
        "backward": ("#43202d", "#e2708f"),
        "missing": ("#262626", "#6d6d6d"),
    },
    clusters=(("#191e24", "#3a444f"), ("#1f252d", "#465260"), ("#262d36", "#53606f")),
)
THEMES = {"light": LIGHT, "dark": DARK}


class View(NamedTuple):
    """The arguments of `Graph.save` and `Graph.dot`, with their defaults."""

    depth: int = 1
    passes: str = "forward"
    show: tuple[str, ...] = ("shape", "dtype")
    direction: str = "TB"
    theme: str = "light"

    @property
    def colours(self) -> Colours:
        return THEMES[self.theme]


def view_of(arguments: dict[str, Any]) -> View:
    """A View from keyword arguments; ArgumentError names the argument, its value and what it can be."""
    for name in arguments:
        if name not in View._fields:
            raise ArgumentError(f"{name}: a drawing has no such argument; it takes {', '.join(View._fields)}")
    show: Any = arguments.get("show", ("shape", "dtype"))
    view = View(**{**arguments, "show": (show,) if isinstance(show, str) else tuple(show)})
    for name, valid in (*_VALID.items(), ("theme", tuple(THEMES))):
        if getattr(view, name) not in valid:
            raise ArgumentError(f"{name}: {getattr(view, name)!r} must be one of {', '.join(map(repr, valid))}")
    for part in view.show:
        if part not in SHOW:
            raise ArgumentError(f"show: {part!r} must be among {', '.join(map(repr, SHOW))}")
    depth: Any = view.depth
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
        raise ArgumentError(
            f"depth: {depth!r} must be a whole number: 0 draws one box for each outermost scope, 1 one for each "
            "layer, larger numbers open them"
        )
    return view
