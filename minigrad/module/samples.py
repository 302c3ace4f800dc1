"""How to try a layer: what to construct it with, and what to call it on. The checks go by this and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from minigrad.core import Tensor, domains
from minigrad.errors import DeclarationError

if TYPE_CHECKING:
    from minigrad.module.base import Module

Shape: TypeAlias = "tuple[int, ...]"


@dataclass(frozen=True, eq=False)
class Part:
    """A layer to be: its registered name and what to construct it with. `Sample.layer` makes it."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    construct: ClassVar[Callable[..., Any]]  # `mg.layer`, set by the catalogue, which stands on samples

    def __repr__(self) -> str:
        said = [*map(_named, self.args), *(f"{k}={_named(v)}" for k, v in self.kwargs.items())]
        return f"{self.name}({', '.join(said)})"


@dataclass(frozen=True, eq=False)
class Sample:
    """One way to try a layer: `Layer(*args, **kwargs)(*inputs, **keywords)`.

    An input is a shape (floating values of either sign, no two of which tie), or a domain and a shape (values that the
    domain draws: `mg.domains.below(10)` gives integers, `mg.domains.booleans` a mask, `mg.domains.positive` what the
    name says), or None, or a Tensor or array that is given as it is, or a tuple, list or dict of such inputs.

    Args:
        args, kwargs: of the constructor; for a layer that takes another, `mg.Sample.layer("Linear", 4, 3)`, which is
            made anew each time.
        inputs: of the call, one element for each; `inputs=((2, 3),)` is one input of shape (2, 3).
        keywords: further inputs, by name.
        batch: the axis along which the inputs hold independent examples, None where there is none; the checks make it
            empty and odd.

    Raises:
        DeclarationError: an input that says neither a shape nor a value.

    Example:
        >>> import minigrad as mg
        >>> mg.Sample((8,), inputs=((2, 8),))  # a norm over 8 features
        Sample(8 of (2, 8))
        >>> mg.Sample((10, 4), inputs=((mg.domains.below(10), (2, 3)),))  # an embedding
        Sample(10, 4 of below(10) (2, 3))
        >>> mg.Sample((8, 2), {"bias": False}, inputs=[(2, 5, 8)] * 3, keywords={"keep": (mg.domains.booleans, (5, 5))})
        Sample(8, 2, bias=False of (2, 5, 8), (2, 5, 8), (2, 5, 8), keep=booleans (5, 5))
        >>> mg.Sample((3, 4), inputs=((2, 3), ((2, 4), (2, 4))))  # a recurrent cell with two states
        Sample(3, 4 of (2, 3), ((2, 4), (2, 4)))
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    batch: int | None = 0

    def __post_init__(self) -> None:
        for name in ("args", "inputs"):
            value = getattr(self, name)
            if not isinstance(value, (tuple, list)):
                raise DeclarationError(f"Sample: {name}={value!r} must be a tuple; write {name}=({value!r},) for one")
            object.__setattr__(self, name, tuple(value))
        if self.inputs and all(isinstance(n, int) for n in self.inputs):
            raise DeclarationError(
                f"Sample: inputs={self.inputs!r} is one shape where a tuple of inputs belongs; "
                f"write inputs=({self.inputs!r},)"
            )
        for k, spec in enumerate(self.inputs):
            _checked(spec, f"inputs[{k}]")
        for name, spec in self.keywords.items():
            _checked(spec, f"keywords[{name!r}]")

    @staticmethod
    def of(cls: type[Module]) -> tuple[Sample, ...]:
        """The samples that a layer declares, pairs of (constructor's arguments, shape of the one input) made samples.

        Raises:
            DeclarationError: one that is neither.

        Example:
            >>> import minigrad as mg
            >>> from minigrad_layers import ReLU
            >>> mg.Sample.of(ReLU)
            (Sample(of (3, 4)),)
        """
        declared: Any = cls.samples
        if isinstance(declared, Sample):
            return (declared,)
        return tuple(_as_sample(s, f"{cls.__name__}.samples[{k}]") for k, s in enumerate(declared))

    def values(self, rng: np.random.Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Host arrays for `inputs` and `keywords`, in float64, bool or integers, nested as these are.

        Example:
            >>> import minigrad as mg, numpy as np
            >>> (x,), _ = mg.Sample((), inputs=((2, 3),)).values(np.random.default_rng(0))
            >>> x.shape, len(set(x.flat))
            ((2, 3), 6)
        """
        return tuple(_drawn(s, rng) for s in self.inputs), {k: _drawn(s, rng) for k, s in self.keywords.items()}

    @staticmethod
    def layer(name: str, *args: Any, **kwargs: Any) -> Part:
        """Among the arguments of a constructor: a registered layer, which is constructed whenever the sample is tried.

        Example:
            >>> import minigrad as mg
            >>> sample = mg.Sample((mg.Sample.layer("Linear", 3, 2),), inputs=((4, 3),))
            >>> sample
            Sample(Linear(3, 2) of (4, 3))
            >>> from minigrad_layers import Residual
            >>> sample.build(Residual).body
            Linear(in_features=3, out_features=2, bias=True)
        """
        return Part(name, args, kwargs)

    def build(self, cls: type[Module], **options: Any) -> Module:
        """The layer: `cls(*args, **kwargs, **options)`."""
        return cls(*map(_made, self.args), **{k: _made(v) for k, v in {**self.kwargs, **options}.items()})

    def __str__(self) -> str:
        built = [*map(_named, self.args), *(f"{k}={_named(v)}" for k, v in self.kwargs.items())]
        called = [*map(_shown, self.inputs), *(f"{k}={_shown(v)}" for k, v in self.keywords.items())]
        return ", ".join(built) + (" of " if built else "of ") + (", ".join(called) or "nothing")

    def __repr__(self) -> str:
        return f"Sample({self})"


def _made(argument: Any) -> Any:
    if not isinstance(argument, Part):
        return argument
    return Part.construct(
        argument.name, *map(_made, argument.args), **{k: _made(v) for k, v in argument.kwargs.items()}
    )


def _as_sample(given: Any, where: str) -> Sample:
    if isinstance(given, Sample):
        return given
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], tuple) and _is_shape(given[1]):
        return Sample(given[0], inputs=(given[1],))
    raise DeclarationError(
        f"{where}: {given!r} must be a minigrad.Sample, such as Sample((3,), inputs=((2, 3),)), or a pair "
        "((constructor's arguments), (shape of the input)); mind the comma in samples = (Sample(…),)"
    )


def _is_shape(spec: Any) -> bool:
    return isinstance(spec, tuple) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in spec)


def _is_drawn(spec: Any) -> bool:
    return isinstance(spec, tuple) and len(spec) == 2 and callable(spec[0]) and _is_shape(spec[1])


def _checked(spec: Any, where: str) -> None:
    if spec is None or isinstance(spec, (Tensor, np.ndarray)) or _is_shape(spec) or _is_drawn(spec):
        return
    if isinstance(spec, (tuple, list)):
        for k, part in enumerate(spec):
            _checked(part, f"{where}[{k}]")
    elif isinstance(spec, dict):
        for k, part in spec.items():
            _checked(part, f"{where}[{k!r}]")
    else:
        raise DeclarationError(
            f"Sample: {where}: {spec!r} is no input; give a shape such as (2, 3), a domain and a shape such as "
            "(minigrad.domains.reals, (2, 3)), None, an array, or a tuple, list or dict of these"
        )


def _drawn(spec: Any, rng: np.random.Generator) -> Any:
    if spec is None:
        return None
    if _is_shape(spec):
        return domains.spread(rng, spec)
    if _is_drawn(spec):
        return np.asarray(spec[0](rng, spec[1]))
    if isinstance(spec, (tuple, list)):
        return type(spec)(_drawn(part, rng) for part in spec)
    if isinstance(spec, dict):
        return {k: _drawn(part, rng) for k, part in spec.items()}
    return spec.numpy() if isinstance(spec, Tensor) else spec


def _shown(spec: Any) -> str:
    if spec is None or _is_shape(spec):
        return str(spec)
    if _is_drawn(spec):
        return f"{_named(spec[0])} {spec[1]}"
    if isinstance(spec, (tuple, list)):
        return "(" + ", ".join(map(_shown, spec)) + ("," if len(spec) == 1 else "") + ")"
    if isinstance(spec, dict):
        return "{" + ", ".join(f"{k}: {_shown(part)}" for k, part in spec.items()) + "}"
    return f"{spec.dtype} {spec.shape}"


def _named(value: Any) -> str:
    """A value of a constructor as text that is the same in every run: no address of an object in it."""
    if isinstance(value, (Tensor, np.ndarray)):
        return f"{type(value).__name__} {value.shape}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_named, value)) + ("," if len(value) == 1 else "") + ")"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return repr(value).replace("\n", " ")
