"""The libraries: of each its language, and how each norm is called in it."""

from __future__ import annotations

from typing import NamedTuple


class Library(NamedTuple):
    """A library. Everything is program text, in which x and the parameters are arrays of NumPy.

    `language` defines t (array to tensor), n (tensor to array) and D(f, c), which takes a function of a tensor to the
    gradient of sum(f(x) c) by x. `norms` maps a row to an expression for the function of x.
    """

    name: str
    distributions: tuple[str, ...]
    imports: str
    language: str
    norms: dict[str, str]
    note: str = ""
