"""Errors for names and keywords of other libraries, made from the table in `elsewhere.py` when a mistake has been made.

Nothing here runs in a call that is right, and nothing decides what is public: the answers look at what there is.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
import sys
from abc import ABCMeta
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from minigrad.elsewhere import CALLED, INSTEAD, KEYWORD_INSTEAD, KEYWORDS
from minigrad.errors import ArgumentTypeError, UnknownFunctionError

__all__ = ["Answering", "answering", "module_getattr", "remedy", "unknown_name"]

P = ParamSpec("P")
R = TypeVar("R")

FUNCTION = ", a function, in a forward of your own"
PREFERRED = ("", "linalg", "losses", "optim", "random", "init", "training", "data", "safe", "graph", "debug", "check")


def _flat(name: str) -> str:
    return name.lower().replace("_", "")


def _public(module: Any) -> list[str]:
    return list(getattr(module, "__all__", ()))


def _layers() -> list[str]:
    """The layers that are installed, [] where there are none."""
    return list(sys.modules["minigrad"].layers())


def _there(path: str) -> bool:
    """Whether `mg.losses.mse` or `minigrad_layers.Linear` exists; where no layers are installed, all of them might."""
    first, *rest = path.split(".")
    if first == "minigrad_layers":
        return rest[0] in (_layers() or rest)
    at: Any = sys.modules["minigrad"]
    for part in rest:
        if isinstance(at, ModuleType) and part not in _public(at):
            return False
        at = getattr(at, part)
    return True


def _homes(name: str, alike: Callable[[str], str]) -> list[str]:
    """The public places that have a name which is the same under `alike`."""
    package, wanted = sys.modules["minigrad"], alike(name)
    found: dict[int, str] = {}  # by the identity of what is there: mg.matmul is mg.linalg.matmul
    for part in PREFERRED:
        place = getattr(package, part) if part else package
        for n in _public(place):
            if alike(n) == wanted:
                found.setdefault(id(getattr(place, n)), f"mg.{part}.{n}" if part else f"mg.{n}")
    return [*found.values(), *(f"minigrad_layers.{n}" for n in _layers() if alike(n) == wanted)]


def remedy(name: str) -> str:
    """What to use here for what another library calls `name`, "" if nothing is known.

    Example:
        >>> import minigrad as mg
        >>> remedy("concatenate"), remedy("MSELoss"), remedy("matmul")
        ('mg.concat', 'mg.losses.mse', 'mg.matmul')
    """
    same = _homes(name, str)
    if same:
        return " or ".join(same[:2])
    for ours, theirs in CALLED.items():
        if name in theirs.split() and _there(re.split(r"[^\w.]", ours)[0]):
            return ours
    if name in INSTEAD:
        return INSTEAD[name]
    near = _homes(name, _flat)
    for ours, theirs in CALLED.items():
        if _flat(name) in map(_flat, theirs.split()) and _there(re.split(r"[^\w.]", ours)[0]):
            near.append(ours)
    return near[0] if near else ""


def unknown_name(place: str, name: str, have: Iterable[str]) -> AttributeError:
    """The error for an attribute that a module does not have; `place` is the module, `have` what it has."""
    if name.startswith("_"):  # Python and its tools ask for those, and want no more than a no
        return AttributeError(f"module {place!r} has no attribute {name!r}")
    known = remedy(name)
    if known:
        function = FUNCTION if place == "minigrad_layers" and re.match(r"mg\.[a-z]\w*$", known) else ""
        use = "" if name in INSTEAD and known == INSTEAD[name] else "use "
        return UnknownFunctionError(f"{place} has no {name!r}: {use}{known}{function}")
    near = difflib.get_close_matches(name, list(have), 1) or difflib.get_close_matches(name.lower(), list(have), 1)
    short = place.replace("minigrad", "mg", 1) if place.split(".")[0] == "minigrad" else place
    return UnknownFunctionError(
        f"{place} has no {name!r}; "
        + (f"did you mean {short}.{near[0]}?" if near else f"dir({place}) lists what it has")
    )


def module_getattr(module: str) -> Callable[[str], NoReturn]:
    """A `__getattr__` for a module: names that it lacks are answered with what to use.

    For packages of layers, too. Hide it from type checkers, which would take every name for known:

        if not TYPE_CHECKING:
            __getattr__ = module_getattr(__name__)
    """

    def __getattr__(name: str) -> NoReturn:  # noqa: N807
        raise unknown_name(module, name, _public(sys.modules[module]))

    return __getattr__


class Missing:
    """An attribute that says what to use instead. It counts as missing: `hasattr` is False, and an own one wins."""

    def __init__(self, what: str, name: str, instead: str) -> None:
        self.what, self.name, self.instead = what, name, instead
        self.__doc__ = f"Not here: {instead}."  # which `help` of the class shows

    def __get__(self, instance: Any, owner: Any) -> NoReturn:
        raise UnknownFunctionError(f"{self.what} has no {self.name!r}: {self.instead}")

    def __repr__(self) -> str:
        return f"<not here: {self.instead}>"


def answer_attributes(cls: type, what: str, table: Mapping[str, str]) -> None:
    """Let `cls` answer the attributes in `table` that it does not have.

    Each name is answered where it is looked up. A `__getattr__` would do it for all names at once, and would make every
    other attribute of every object slower to read.
    """
    known = {name for base in cls.__mro__ for name in vars(base)}
    for name, instead in table.items():
        if name not in known:
            setattr(cls, name, Missing(what, name, instead))
    cls.__dir__ = _offered  # type: ignore[assignment]


def _offered(self: Any) -> list[str]:
    found: dict[str, Any] = {}
    for base in type(self).__mro__:
        found = {**vars(base), **found}
    own = vars(self) if hasattr(self, "__dict__") else {}
    return sorted({name for name, value in found.items() if not isinstance(value, Missing)} | {*own})


# ---- calls


def wrong_call(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> ArgumentTypeError | None:
    """What is wrong with the arguments of a call, None if they fit the signature."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        problem = str(error)
    else:
        return None
    parameters = signature.parameters.values()
    names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL, p.POSITIONAL_ONLY)]
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for key in kwargs:
        if key not in names:
            problem = f"there is no argument {key!r}; {_keyword(key, names)}"
            break
    else:
        given = {*positional[: len(args)], *kwargs}
        missing = [p.name for p in parameters if p.default is p.empty and p.name in names and p.name not in given]
        if len(args) > len(positional):
            problem = f"{len(args)} arguments are given by position, and there are at most {len(positional)}"
        elif missing:
            problem = f"{' and '.join(map(repr, missing))} {'are' if len(missing) > 1 else 'is'} missing"
    return ArgumentTypeError(f"{name}: {problem}; write {name}{_written(signature)}")


def _keyword(key: str, names: list[str]) -> str:
    for ours in names:
        if key in KEYWORDS.get(ours, "").split():
            return f"it is called {ours!r} here"
    if key in KEYWORD_INSTEAD:
        return KEYWORD_INSTEAD[key]
    near = difflib.get_close_matches(key, names, 1)
    return f"did you mean {near[0]!r}?" if near else "it has no counterpart here"


def _written(signature: inspect.Signature) -> str:
    """A signature without types."""
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def raise_wrong_call(
    error: TypeError, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Raise what teaches in place of `error`, if it was raised by the call of `func` and by nothing inside it.

    To be called where `error` was caught, around nothing but this call.
    """
    if error.__traceback__ is None or error.__traceback__.tb_next is None:
        better = wrong_call(name, inspect.signature(func), args, kwargs)
        if better is not None:
            raise better from None


def answering(func: Callable[P, R]) -> Callable[P, R]:
    """`func`, whose calls with wrong arguments are answered with the right ones. Not for what runs in a loop."""

    @functools.wraps(func)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return func(*args, **kwargs)
        except TypeError as error:
            raise_wrong_call(error, func.__name__, func, args, kwargs)
            raise

    return call


def refusing(func: Callable[P, R]) -> Callable[P, R]:
    """`answering` at a third of its cost, for functions of one to four arguments that
    have positions; it is `answering` for all others.
    """
    code: Any = getattr(func, "__code__", None)
    count = 0 if code is None or code.co_flags & 0x0C or code.co_kwonlyargcount else code.co_argcount
    if not 1 <= count <= len(_PLAIN):
        return answering(func)
    call: Any = _PLAIN[count - 1](func)
    own = call.__code__
    names = (*code.co_varnames[:count], *own.co_varnames[count:])
    call.__code__ = own.replace(co_varnames=names, co_name=func.__name__, co_qualname=func.__name__)
    call.__defaults__ = getattr(func, "__defaults__", None)
    return functools.wraps(func)(call)


def _refuse(func: Callable[..., Any], args: tuple[Any, ...], other: Mapping[str, Any]) -> NoReturn:
    wrong = wrong_call(func.__name__, inspect.signature(func), args, other)
    raise wrong or ArgumentTypeError(f"{func.__name__}: {', '.join(other)} cannot be given")


def _one(func: Any) -> Any:
    def call(a: Any, **other: Any) -> Any:
        if other:
            _refuse(func, (a,), other)
        return func(a)

    return call


def _two(func: Any) -> Any:
    def call(a: Any, b: Any, **other: Any) -> Any:
        if other:
            _refuse(func, (a, b), other)
        return func(a, b)

    return call


def _three(func: Any) -> Any:
    def call(a: Any, b: Any, c: Any, **other: Any) -> Any:
        if other:
            _refuse(func, (a, b, c), other)
        return func(a, b, c)

    return call


def _four(func: Any) -> Any:
    def call(a: Any, b: Any, c: Any, d: Any, **other: Any) -> Any:
        if other:
            _refuse(func, (a, b, c, d), other)
        return func(a, b, c, d)

    return call


_PLAIN = (_one, _two, _three, _four)


class _Construction:
    """The signature of a class: that of its `__init__`, which `inspect` would not look for behind a `__call__`."""

    def __get__(self, cls: type | None, meta: Any) -> inspect.Signature:
        if cls is None:
            raise AttributeError("__signature__")
        init = inspect.getattr_static(cls, "__init__")
        own = [] if init is object.__init__ else [*inspect.signature(init).parameters.values()][1:]
        return inspect.Signature(own)


class Answering(ABCMeta):
    """A metaclass: a class whose construction with wrong arguments is answered in its own name, with the right ones.

    Its classes may be abstract; they know those that inherit from them, and no registered ones.
    """

    if not TYPE_CHECKING:  # which would take any arguments for right

        def __call__(cls, *args, **kwargs):
            try:
                return super().__call__(*args, **kwargs)
            except TypeError as error:
                raise_wrong_call(error, cls.__name__, cls, args, kwargs)
                raise

        # ABCMeta's ask for registered classes, in Python: seven times the time, and walks of modules ask often
        __instancecheck__ = type.__instancecheck__
        __subclasscheck__ = type.__subclasscheck__

    __signature__ = _Construction()
