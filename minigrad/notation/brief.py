"""Formulas that are written shorter than they are computed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minigrad.notation.expr import Expr


def written_as(short: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate what a rule is made of: on symbols its formula is written as `short`, with the same arguments, gives it.

    What runs on arrays is the function itself, and so is what `evaluate` computes and a derivation's program says: the
    guards of a special point (a 0, two infinities) are there, and only left out where one reads.

    >>> from minigrad.notation import symbol
    >>> @written_as(lambda y: y)
    ... def length(y):
    ...     return y + (y == 0)
    >>> f = 1 / length(symbol("y"))
    >>> str(f), f.evaluate({"y": 0.0})
    ('1 / y', 1.0)
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any) -> Any:
            found = function(*args)
            if Expr not in map(type, args):
                return found
            brief = short(*args)
            if not isinstance(found, Expr) or not isinstance(brief, Expr):
                return found
            out = Expr(brief.show, brief.args, brief.params, brief.apply, brief.shape, brief.dtype)
            out.exact = found
            return out

        call.short = short  # type: ignore[attr-defined]
        return call

    return decorate
