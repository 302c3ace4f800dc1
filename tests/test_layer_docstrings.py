"""Each layer's docstring has a one-sentence summary, an example, its paper where it is a norm or a dropout, and names
of arguments that the constructor has; a layer may refer to another ("otherwise as X", "see `X`") for what they share.
"""

from __future__ import annotations

import inspect
import re

import pytest

import minigrad as mg
import minigrad_layers

NAMES = sorted(name for name, info in mg.layers().items() if info.origin == "minigrad-layers")
PAPERS = ("normalization", "dropout")
ENTRY = re.compile(r"^ {4}([\w, *]+):", re.MULTILINE)
OTHER = re.compile(r"\b(?:[Aa]s|[Ss]ee|of|for) `?(\w+)`?")
EVERYWHERE = {"device", "dtype", "inplace"}  # where parameters lie, and what PyTorch's layers have and none here takes


def doc(name: str) -> str:
    return inspect.getdoc(getattr(minigrad_layers, name)) or ""


def section(text: str, title: str) -> str:
    found = re.search(rf"^{title}:(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def referred(name: str) -> list[str]:
    """The other layers that a docstring refers to."""
    return [n for n in OTHER.findall(doc(name)) if n in NAMES and n != name]


@pytest.mark.parametrize("name", NAMES)
def test_the_summary_is_one_sentence(name: str) -> None:
    first = " ".join(doc(name).split("\n\n")[0].split())
    assert first.endswith("."), f"{name}: {first!r} is no sentence"
    assert not re.search(r"[a-z]\. [A-Z]", first), f"{name}: {first!r} is more than one sentence"


@pytest.mark.parametrize("name", NAMES)
def test_there_is_an_example(name: str) -> None:
    assert ">>> " in section(doc(name), "Example"), name


@pytest.mark.parametrize("name", [n for n in NAMES if mg.layers()[n].family in PAPERS])
def test_norms_and_dropouts_name_their_paper(name: str) -> None:
    assert any("Source:" in doc(n) for n in (name, *referred(name))), f"{name}: no Source, and none referred to"


@pytest.mark.parametrize("name", NAMES)
def test_the_arguments_are_those_of_the_constructor(name: str) -> None:
    """What stands under Args is a parameter; what is a parameter stands there, is said in the text, or elsewhere."""
    parameters = inspect.signature(getattr(minigrad_layers, name)).parameters
    entries = {w.strip(" *") for names in ENTRY.findall(section(doc(name), "Args")) for w in names.split(",")}
    assert entries <= set(parameters), f"{name}: Args name {sorted(entries - set(parameters))}, no parameters"
    said = set(re.findall(r"\w+", doc(name).partition("Example:")[0])).union(*(
        re.findall(r"\w+", doc(n).partition("Example:")[0]) for n in referred(name)
    ))  # fmt: skip
    variadic = {p.name for p in parameters.values() if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    missing = set(parameters) - variadic - EVERYWHERE - said
    assert not missing, f"{name}: nothing is said of {sorted(missing)}"
