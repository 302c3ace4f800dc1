"""The methods of Tensor: what `core/methods.py` declares for readers and type checkers is what is bound at run time."""

from __future__ import annotations

import ast
import inspect
import re
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
from house import ROOT

import minigrad as mg
from minigrad.answers import Missing
from minigrad.core.methods import TensorMethods

SOURCE = ROOT / "minigrad/core/methods.py"


def declared() -> dict[str, ast.FunctionDef]:
    """The stubs of TensorMethods, by name, properties too."""
    module = ast.parse(SOURCE.read_text(encoding="utf-8"))
    (cls,) = (n for n in ast.walk(module) if isinstance(n, ast.ClassDef) and n.name == "TensorMethods")
    stubs = [n for n in ast.walk(cls) if isinstance(n, ast.FunctionDef)]
    assert len(stubs) == len({n.name for n in stubs})
    return {n.name: n for n in stubs}


STUBS = declared()


def own() -> set[str]:
    """The methods and properties that the class statement of Tensor defines itself."""
    module = ast.parse((ROOT / "minigrad/core/tensor.py").read_text(encoding="utf-8"))
    (cls,) = (n for n in module.body if isinstance(n, ast.ClassDef) and n.name == "Tensor")
    names = {n.name for n in cls.body if isinstance(n, ast.FunctionDef)}
    return names | {t.id for n in cls.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}


def bound() -> dict[str, Any]:
    """What was bound to Tensor by the ops: everything callable, or a property, that its class statement has not."""
    return {k: f for k, f in vars(mg.Tensor).items() if k not in own() and (callable(f) or isinstance(f, property))}


def is_property(stub: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "property" for d in stub.decorator_list)


def parameters_of_stub(stub: ast.FunctionDef) -> list[tuple[str, str, str]]:
    """(name, kind, default) of each parameter but `self`; a default as it is written, "" for none."""
    a = stub.args
    plain = [*a.posonlyargs, *a.args]
    defaults = [""] * (len(plain) - len(a.defaults)) + [repr(ast.literal_eval(d)) for d in a.defaults]
    out = [(p.arg, "plain", d) for p, d in zip(plain, defaults, strict=True)][1:]
    out += [(a.vararg.arg, "*", "")] if a.vararg else []
    keyword = ["" if d is None else repr(ast.literal_eval(d)) for d in a.kw_defaults]
    out += [(p.arg, "keyword", d) for p, d in zip(a.kwonlyargs, keyword, strict=True)]
    return out + ([(a.kwarg.arg, "**", "")] if a.kwarg else [])


KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "plain",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "plain",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_KEYWORD: "**",
}


def parameters_of(function: Any) -> list[tuple[str, str, str]]:
    """The same of a function, whose first parameter takes the tensor."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [(p.name, KINDS[p.kind], "" if p.default is p.empty else repr(p.default)) for p in parameters]


def test_every_stub_is_bound_and_everything_bound_has_a_stub() -> None:
    inherited = {k for k in STUBS if k not in vars(mg.Tensor)}
    assert inherited == set(), "declared, but no op binds it"
    undeclared = set(bound()) - set(STUBS) - {"__dict__", "__dir__", "__doc__", "__module__"}
    assert undeclared == set(), "bound, but not declared"
    assert len(STUBS) >= 60


@pytest.mark.parametrize("name", STUBS)
def test_the_signatures_agree(name: str) -> None:
    stub, function = STUBS[name], vars(mg.Tensor)[name]
    if is_property(stub):
        assert isinstance(function, property)
        return
    mine, its = parameters_of_stub(stub), parameters_of(function)
    if name.startswith("__") and len(mine) <= 1:  # operators are called by Python, by position: names do not matter
        mine, its = ([(kind, default) for _, kind, default in side] for side in (mine, its))  # type: ignore[assignment]
    assert its == mine


def test_a_difference_is_seen() -> None:
    names = ["var", "sum", "cumsum", "prod", "reshape", "clip", "argsort"]
    own_stub = [parameters_of(vars(mg.Tensor)[k]) == parameters_of_stub(STUBS[k]) for k in names]
    another = [parameters_of(vars(mg.Tensor)[k]) == parameters_of_stub(STUBS["mean"]) for k in names]
    assert own_stub == [True] * 7
    assert another == [False, True, False, True, False, False, False]


@pytest.mark.parametrize("name", STUBS)
def test_a_stub_says_what_comes_back(name: str) -> None:
    stub = STUBS[name]
    assert stub.returns is not None
    assert ast.unparse(stub.returns) in ("Tensor", "tuple[Tensor, Tensor]", "int" if is_property(stub) else "Tensor")
    arguments = [*stub.args.args[1:], *stub.args.kwonlyargs, *([stub.args.vararg] if stub.args.vararg else [])]
    assert all(a.annotation is not None for a in arguments)


def test_no_method_hides_another() -> None:
    """What is bound was not defined by the class itself, but for what says that the sweep binds it."""
    assert own() & set(STUBS) == set()
    for name, home in (("backward", "gradients"), ("register_hook", "hooks")):
        assert vars(mg.Tensor)[name].__module__ == f"minigrad.core.{home}"
    assert not [k for k in vars(TensorMethods) if not k.startswith("__")], "the stubs must not exist at run time"


CALLS: dict[str, tuple[Any, ...]] = {
    "searchsorted": (np.array([1.5]),), "reshape": (3, 2), "swapaxes": (0, 1), "repeat": (2,), "take": (np.array([0]),),
    "astype": ("float32",), "transpose": (1, 0),
}  # fmt: skip
"""The arguments of those methods that need some."""
NAMELESS = {"flatten", "ravel", "transpose"}
"""Methods without a function of the same name; the reason is that NumPy's function of that name means another thing."""


@pytest.mark.parametrize("name", [k for k, s in STUBS.items() if not k.startswith("__") and not is_property(s)])
def test_a_method_is_the_function_of_its_name(name: str, backend: str) -> None:
    values = np.array([1.0, 2.0, 4.0]) if name == "searchsorted" else np.array([[3.0, 1.0, 2.0], [5.0, 6.0, 4.0]])
    values = values[:, :1] if name == "squeeze" else values > 2 if name in ("any", "all") else values
    given = (backend,) if name == "to" else CALLS.get(name, ())
    x, arguments = mg.tensor(values), tuple(mg.tensor(a) if isinstance(a, np.ndarray) else a for a in given)
    by_method = getattr(x, name)(*arguments)
    if name in NAMELESS:
        by_function = mg.reshape(x, (-1,)) if name != "transpose" else mg.permute_dims(x, arguments)
    elif name == "trace":
        by_function = mg.linalg.trace(x)
    elif name == "reshape":
        by_function = mg.reshape(x, arguments)
    else:
        by_function = getattr(mg, name)(x, *arguments)
    assert by_method.dtype == by_function.dtype
    assert np.array_equal(by_method.numpy(), by_function.numpy())


# ---- what arrays have


ELSEWHERE = {name: value.instead for name, value in vars(mg.Tensor).items() if isinstance(value, Missing)}
SHARED = [name for name in dir(np.ndarray) if not name.startswith("_") and name not in ELSEWHERE]


def test_everything_that_an_array_has_is_offered_or_answered() -> None:
    missing = [name for name in SHARED if name not in vars(mg.Tensor)]
    assert missing == [], "neither a member of Tensor nor answered in elsewhere.py"
    offered = [name for name in mg.__all__ if name in dir(np.ndarray)]
    assert [name for name in offered if name not in SHARED] == ["sort"], "a function that NumPy has as a method, too"


@pytest.mark.parametrize("name", SHARED)
def test_what_is_offered_is_what_numpy_gives(name: str) -> None:
    a = np.array([[3.0, 1.0, 2.0], [5.0, 6.0, 4.0]])
    a = a[0] if name == "searchsorted" else a[:, :1] if name == "squeeze" else a
    x = mg.tensor(a)
    if name == "device":
        assert x.device.partition(":")[0] in ("numpy", "cupy", "fakecupy")
        return
    arguments = {"std": (0,), "var": (0,), **CALLS}.get(name, ())
    ours, theirs = getattr(x, name), getattr(a, name)
    if callable(theirs) and name != "data":
        if name == "item":
            ours, theirs = x[0, 0].item, a[0, 0].item
        plain = [v.tolist() if isinstance(v, mg.Tensor) else v for v in arguments]
        ours = ours(*(mg.tensor(v) if isinstance(v, np.ndarray) else v for v in arguments))
        theirs = theirs(*plain)
    ours = ours.numpy() if isinstance(ours, mg.Tensor) else ours
    assert np.array_equal(
        np.asarray(x.numpy() if name == "data" else ours), np.asarray(a if name == "data" else theirs)
    )


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_not_offered_says_what_to_use(name: str) -> None:
    x = mg.tensor([1.0])
    with pytest.raises(mg.errors.UnknownFunctionError, match=rf"^a Tensor has no '{name}': .{{5}}"):
        getattr(x, name)
    assert not hasattr(x, name)
    assert name not in dir(x)
    for path in re.findall(r"minigrad\.(\w+(?:\.\w+)*)", ELSEWHERE[name]):
        assert attrgetter(path)(mg) is not None
    for member in re.findall(r"\bx\.(\w+)", ELSEWHERE[name]):
        assert hasattr(x, member)
