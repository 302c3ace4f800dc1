"""The exceptions: what else each one is, the tree in the docstring, and messages that print as they were written."""

from __future__ import annotations

import builtins
import inspect
import re

import pytest

from minigrad import errors

CLASSES = {n: c for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, (Exception, Warning))}
TREE = {name: builtin for name, builtin in re.findall(r"(\w+) +\((\w+)\)|$", errors.__doc__ or "") if name}


def test_all_names_are_public_and_drawn() -> None:
    assert set(errors.__all__) == set(CLASSES)
    for name in CLASSES:
        assert re.search(rf"\b{name}\b", errors.__doc__ or ""), f"{name} is missing in the tree"


@pytest.mark.parametrize("name", sorted(TREE))
def test_each_is_also_the_builtin_that_users_expect(name: str) -> None:
    assert issubclass(CLASSES[name], getattr(builtins, TREE[name]))


@pytest.mark.parametrize("name", sorted(n for n in CLASSES if not n.endswith("Warning")))
def test_messages_print_plainly(name: str) -> None:
    problem = CLASSES[name]("x='a'\ntry 'b'")
    assert isinstance(problem, errors.MinigradError)
    assert str(problem) == "x='a'\ntry 'b'"
