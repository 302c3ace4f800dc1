"""What a subclass of Optimizer says by its names: options, slots, and what each of its functions takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from minigrad.answers import wrong_call
from minigrad.optim.options import Option

__all__ = ["Contract", "constructor", "contract_of", "when"]


class _When(str):
    """The option that a slot hangs on."""

    __slots__ = ()


def when(option: str) -> Any:
    """The default of a slot, in the signature of a rule, that is kept only where `option` is neither 0 nor False.

    Example:
        >>> import minigrad as mg
        >>> def rule(p, g, momentum_buffer=mg.optim.when("momentum"), *, momentum, lr):
        ...     momentum_buffer = momentum_buffer * momentum + g if momentum else None
        ...     return p - (momentum_buffer if momentum else g) * lr, momentum_buffer
    """
    return _When(option)


class Contract(NamedTuple):
    """What the names in the functions of an optimiser say."""

    slots: dict[str, str | None]  # each slot of the rule, with the option that it hangs on
    takes: tuple[str, ...]  # the keywords of the rule
    scalars: tuple[str, ...]  # the arguments of `scalars`
    begin: tuple[str, ...]  # the arguments of `begin`
    check: tuple[str, ...]  # the arguments of `check`


def constructor(options: dict[str, Option], init: Callable[..., None]) -> Callable[..., None]:
    """The `__init__` of a subclass, which takes its options by position or by name, and calls `init` by name."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named = [inspect.Parameter(name, kind, default=o.default) for name, o in options.items()]
    signature = inspect.Signature([inspect.Parameter("self", kind), inspect.Parameter("params", kind), *named])

    def called(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError as error:
            raise wrong_call(type(self).__name__, inspect.signature(type(self)), args, kwargs) or error from None
        del given["self"]
        init(self, given.pop("params"), **given)

    called.__name__ = "__init__"
    called.__signature__ = signature  # type: ignore[attr-defined]
    return called


def contract_of(cls: Any, plain: Any) -> Contract:
    """The contract of an optimiser, whose `scalars` may be the `plain` ones, which take the learning rate."""
    given = inspect.signature(cls.rule).parameters.values()
    slots = {p.name: p.default for p in given if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in ("p", "g")}
    scalars = ("lr",) if cls.scalars is plain else _names(cls.scalars)
    return Contract(
        {name: str(on) if isinstance(on, _When) else None for name, on in slots.items()},
        tuple(p.name for p in given if p.kind is p.KEYWORD_ONLY),
        scalars,
        _names(cls.begin),
        _names(cls.check),
    )


def _names(function: Callable[..., Any]) -> tuple[str, ...]:
    given = inspect.signature(function).parameters.values()
    return tuple(p.name for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
