"""Composites: functions built from primitives that fold into one box in drawings, exactly as a layer does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from minigrad.core.arguments import blame
from minigrad.core.modes import MODES, Watcher
from minigrad.errors import DeclarationError
from minigrad.notation import Expr
from minigrad.notation.layouts import Shape

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Composition:
    """How a composite was declared: `composite(…).composition`."""

    name: str
    body: Callable[..., Any]
    show: Shape | None
    textbook: Callable[..., Any] | None
    fuse: bool

    def formula(self, args: tuple[Any, ...], kwargs: dict[str, Any], call: Callable[..., Any]) -> Any:
        """What the composite answers to symbols: its short notation, over what its body makes of them."""
        inner = self.body(*args, **kwargs)
        if self.show is None or not isinstance(inner, Expr):
            return inner
        out = Expr(self.show, args, kwargs, call, inner.shape, inner.dtype)
        out.exact = inner
        return out


COMPOSITES: dict[str, Callable[..., Any]] = {}


class scope:  # noqa: N801  (reads as a verb: `with scope("layer", name, self):`)
    """Tell whoever watches that what runs inside the `with` block belongs together."""

    __slots__ = ("_entered", "_what")

    def __init__(self, kind: str, name: str, subject: Any = None, given: Any = None) -> None:
        self._what = (kind, name, subject, given)
        self._entered: tuple[Watcher, ...] = ()

    def __enter__(self) -> None:
        self._entered = MODES.get().watchers
        for watcher in self._entered:
            watcher.enter(*self._what)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for watcher in self._entered:
            watcher.leave()


@overload
def composite(f: Callable[P, R]) -> Callable[P, R]: ...
@overload
def composite(
    f: None = None, *, show: Shape | None = None, textbook: Callable[..., Any] | None = None, fuse: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def composite(
    f: Callable[P, R] | None = None,
    *,
    show: Shape | None = None,
    textbook: Callable[..., Any] | None = None,
    fuse: bool = False,
) -> Any:
    """Make `f`, a composition of primitives, one named scope. Free of cost while nothing watches.

    Args:
        f: the function; a decorator is returned where it is left out.
        show: how a rule that calls it on symbols writes it, such as `mg.notation.fn("norm")`; else as what it is
            composed of. What the formula computes is what `f` does, in either case.
        textbook: the same function as the literature writes it, with the same arguments, where `f` is arranged
            otherwise for exactness or speed. It runs under `mg.trace(form="textbook")`, with the same changes of state
            and the same draws from random streams; `mg.check.forms` holds the two equal.
        fuse: whether it may run as derived kernels, once it is asked to; a declaration for compilers.

    Raises:
        DeclarationError: no function, or a `show` or `textbook` of another kind.

    Example:
        >>> import minigrad as mg
        >>> @mg.composite
        ... def swish(x):
        ...     return x * mg.sigmoid(x)
        >>> swish(mg.tensor(0.0))
        tensor(0.)
        >>> @mg.composite(textbook=lambda x: x / (1 + mg.exp(-x)))
        ... def silu(x):
        ...     return x * mg.sigmoid(x)
        >>> with mg.trace(form="textbook") as graph:
        ...     y = silu(mg.tensor(1.0))
        >>> [node.op for node in graph.nodes if node.op]
        ['negative', 'exp', 'add', 'divide']
    """
    if f is None:
        return functools.partial(_composite, show=show, textbook=textbook, fuse=fuse)
    return _composite(f, show=show, textbook=textbook, fuse=fuse)


def _composite(
    f: Callable[P, R], *, show: Shape | None, textbook: Callable[..., Any] | None, fuse: bool
) -> Callable[P, R]:
    for argument, given in (("f", f), ("textbook", textbook)):
        if not callable(given) and not (given is None and argument == "textbook"):
            raise DeclarationError(f"composite: {argument}={given!r} must be a function")
    if show is not None and not isinstance(show, Shape):
        raise DeclarationError(f"composite: show={show!r} must be a notation, such as minigrad.notation.fn('norm')")
    name = f.__name__.rstrip("_")
    what = Composition(name, f, show, textbook, bool(fuse))
    paper: Callable[P, R] = f if textbook is None else textbook

    @functools.wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            mode = MODES.get()
            if not mode.scoped:
                return f(*args, **kwargs)
            body = f if mode.form == "run" else paper
            if not mode.watchers:
                return body(*args, **kwargs)
            with scope("composite", name, f, (args, kwargs)):
                return body(*args, **kwargs)
        except (AttributeError, TypeError) as error:
            blame(error, name, f, args, kwargs)
            raise

    if show is None:
        made = call
    else:

        @functools.wraps(f)
        def made(*args: P.args, **kwargs: P.kwargs) -> R:
            if any(type(a) is Expr for a in args):
                return what.formula(args, kwargs, made)  # type: ignore[no-any-return]
            return call(*args, **kwargs)

    made.composition = what  # type: ignore[attr-defined]
    COMPOSITES[name] = made
    return made
