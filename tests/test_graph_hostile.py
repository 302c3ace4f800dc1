"""A graph's JSON is data from strangers: altered, it is refused by one error, and whatever it holds stays data.

F28: strings in a file never become code. A mutator with a seed alters recorded graphs in thousands of ways; what comes
back is used in every way there is, and only documented errors may escape.
"""

from __future__ import annotations

import ast
import copy
import json
import random
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import minigrad as mg
from minigrad.graph import data
from minigrad_layers import BatchNorm1d, Linear, ReLU, Sequential

HOSTILE = (
    "import os\nos.system('true')", '"); import os; ("', "'''", "</script><script>alert(1)</script>", "a\r\nb", "\\",
    "{x}", "<b>&amp;</b>", "\x00\x1b[31m", "$\\input{x}$", "ﬁ", "mｇ", "∂", "", " ", "\u2028", "\ud800", "%s",
    "__import__('os')", 'op["x"]', "]]>", "--><!--",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 7, 10**30, 1.5, [], {}, [1], ["x"], {"a": 1}, {"tuple": [1]}, {"tuple": ["x", 2]},
    {"dtype": "O"}, {"dtype": "<f4"}, {"dtype": "<U5"}, {"float": "nan"}, {"float": "1; import os"}, {"repr": "x\ny"},
    {"array": [1], "dtype": "<f8", "shape": [1]}, {"array": ["x"], "dtype": "<U9", "shape": [1]}, {"list": [None]},
    {"array": [1.0], "dtype": "<f8", "shape": []}, {"array": [], "dtype": "<f8", "shape": [0, 10**18]},
    {"ellipsis": 1}, *HOSTILE,
)  # fmt: skip
RUNS, USED = 1500, 30  # alterations, and every how many of them is used if it is let in
LONG = 50_000


def small() -> mg.Graph:
    x = mg.tensor([[1.0, 2.0, 4.0], [2.0, 0.5, 1.0]], requires_grad=True, name="x")
    with mg.trace() as graph:
        y = mg.softmax(mg.tanh(x[:, 1:]) * 2.0 + mg.sum(x, axis=1, keepdims=True), axis=1).named("y")
        values, vectors = mg.linalg.eigh(mg.matmul(y, y.T) + mg.eye(2))
        (mg.sum(values.named("v") * 3.0) + mg.full((), 2.0) * mg.sum(vectors)).backward()
    return graph


def layered() -> mg.Graph:
    mg.random.seed(0)
    model = Sequential(Linear(3, 2), BatchNorm1d(2), ReLU())
    with mg.trace(model) as graph:
        loss = mg.losses.mse(model(mg.random.normal((4, 3))), mg.zeros((4, 2)))
        loss.backward()
        mg.optim.SGD(model.parameters(), lr=0.1).step()
    return graph


@pytest.fixture(scope="module")
def documents(backend: str) -> list[str]:
    if backend == "cupy":
        pytest.skip("what a file holds is read on the host")
    return [graph().to_json() for graph in (small, layered)]


# ---- altering


def place(document: Any, rng: random.Random) -> tuple[Any, Any]:
    """Somewhere in a document: a container and a key or an index."""
    at, key = document, rng.choice(("nodes", "nodes", "nodes", "scopes", "format"))
    while isinstance(at[key], (dict, list)) and at[key] and (at is document or rng.random() < 0.9):
        at = at[key]
        key = rng.choice([*at]) if isinstance(at, dict) else rng.randrange(len(at))
    return at, key


def altered(document: str, rng: random.Random) -> str:
    """The text of a document in which one to three places are not what they were."""
    changed = json.loads(document)
    for _ in range(rng.randint(1, 3)):
        (at, key), (other, name) = place(changed, rng), place(changed, rng)
        what = rng.randrange(8)
        if what <= 2 and isinstance(at[key], str):
            at[key] = rng.choice(HOSTILE)
        elif what == 3:
            del at[key]
        elif what == 4 and not (isinstance(at[key], (dict, list)) or isinstance(other[name], (dict, list))):
            at[key], other[name] = other[name], at[key]
        elif what == 5 and isinstance(at, list):
            at.insert(key, copy.deepcopy(at[key]))
        elif what == 6 and isinstance(at, list):
            rng.shuffle(at)
        else:
            at[key] = copy.deepcopy(rng.choice(ODD))
        if (
            not all(isinstance(changed.get(k), list) and changed[k] for k in ("nodes", "scopes"))
            or "format" not in changed
        ):
            break
    text = json.dumps(changed)
    if rng.random() < 0.1:
        cut = rng.randrange(len(text))
        text = text[:cut] + rng.choice(("", '"', "}", "NaN", "1e999", "9" * 5000)) + text[cut + rng.randrange(3) :]
    return text


def renamed(value: Any, names: dict[str, str]) -> Any:
    """A document in which names are others wherever they stand."""
    if isinstance(value, dict):
        return {k: renamed(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [renamed(v, names) for v in value]
    return names.get(value, value) if isinstance(value, str) else value


# ---- using


ALLOWED = (
    ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.Assign, ast.Name, ast.Load, ast.Store, ast.Call, ast.keyword,
    ast.Attribute, ast.Constant, ast.Tuple, ast.List, ast.Subscript, ast.Slice, ast.BinOp, ast.UnaryOp, ast.operator,
    ast.unaryop,
)  # fmt: skip


def faults_of(program: str) -> list[str]:
    """What stands in a program that a derivation never writes."""
    found, made = [], {"mg", "op", "graph", "Path", "float"}
    for node in ast.walk(ast.parse(program)):
        if not isinstance(node, ALLOWED):
            found.append(type(node).__name__)
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] != "minigrad"]
        elif isinstance(node, ast.ImportFrom) and node.module != "pathlib":
            found.append(f"from {node.module}")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            found.append(node.attr)
    read = {n.id for n in ast.walk(ast.parse(program)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return found + sorted(read - made)


def use(graph: mg.Graph) -> None:
    """Everything that a graph offers; documented errors are for the caller, what is wrong is asserted."""
    again = mg.Graph.from_json(graph.to_json())
    assert again.to_json() == graph.to_json()
    source = graph.dot(depth=9, passes="both", show=("value", "grad", "formula", "shape", "dtype", "source", "bytes"))
    assert "digraph" in source.source
    for node in graph.nodes:
        graph.formula(node.name)
        for k in range(len(node.inputs)):
            graph.rule(node.name, k)
            graph.expression(node.name, k)
    for path in [n.name for n in graph.nodes if n.cotangents] + [*graph.scopes]:
        try:
            derivation = graph.derivation(path)
        except (mg.errors.GraphError, mg.errors.UnknownNameError):
            continue
        assert derivation.text
        assert derivation.latex
        ElementTree.fromstring(derivation.mathml)
        try:
            program = derivation.python
        except mg.errors.GraphError:
            continue
        assert faults_of(program) == []


@pytest.mark.parametrize("runs", [RUNS, pytest.param(LONG, marks=pytest.mark.nightly)])
def test_an_altered_file_is_refused_or_stays_data(runs: int, documents: list[str]) -> None:
    """F28: no error but the documented one leaves `from_json`, and none at all what is done with what it let in."""
    rng, refused = random.Random(28), 0
    for run in range(runs):
        text = altered(rng.choice(documents), rng)
        try:
            graph = mg.Graph.from_json(text)
        except mg.errors.ArgumentError:
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(f"run {run}: {text}") from error
        if run % USED == 0 or runs == LONG:
            try:
                use(graph)
            except Exception as error:
                raise AssertionError(f"run {run}: {text}") from error
    assert runs / 10 < refused < runs


def test_what_was_recorded_is_let_in(documents: list[str]) -> None:
    for document in documents:
        use(mg.Graph.from_json(document))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_whatever_names_hold_stays_text(text: str, documents: list[str], tmp_path: Path) -> None:
    """F28, in every output: names, labels, titles, source lines, formulas and parameters."""
    for document in documents[1:]:  # the one with layers
        changed = json.loads(document)
        for node in changed["nodes"]:
            node |= {"label": f"{node['label'] or ''}{text}", "source": f"{text}:7"}
        for scope in changed["scopes"]:
            scope |= {"title": text or "title", "detail": f"{text}{text}"}
        graph = mg.Graph.from_json(json.dumps(changed))
        use(graph)
        if tmp_path.exists() and shutil.which("dot"):
            graph.save(tmp_path / "graph.svg", depth=9, passes="both", show=("formula", "source", "value"))
            root = ElementTree.parse(tmp_path / "graph.svg").getroot()
            assert not [e.tag for e in root.iter() if str(e.tag).endswith("script")]
        names = {n["name"]: f"{n['name']}{text}" for n in changed["nodes"]}
        names |= {s["path"]: f"{s['path']}{text}" for s in changed["scopes"]}
        try:
            again = mg.Graph.from_json(json.dumps(renamed(changed, names)))
        except mg.errors.ArgumentError:
            continue
        use(again)


LINE = "1.0\nimport os\nos.abort()"


def test_a_string_in_place_of_a_number_is_refused_and_would_stay_a_literal(
    documents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F28: a constant's value, as it stood in the program when nothing looked at it."""
    changed = json.loads(documents[0])
    node = next(n for n in changed["nodes"] if n["kind"] == "constant" and isinstance(n["value"], float))
    node["value"] = LINE
    with pytest.raises(mg.errors.ArgumentError, match=f"node '{node['name']}': value=.*it was altered"):
        mg.Graph.from_json(json.dumps(changed))
    monkeypatch.setattr(data, "_value", lambda value, *rest: value)
    monkeypatch.setattr(data, "_operation", lambda *rest: None)
    graph = mg.Graph.from_json(json.dumps(changed))
    for name in [n.name for n in graph.nodes if n.cotangents]:
        program = graph.derivation(name).python
        assert faults_of(program) == []
        assert "\nimport os" not in program


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inputs", ["nothing"]), ("flows", [1, 0]), ("kind", "spy"), ("shape", {"tuple": [1, -1]}), ("kept", -1),
        ("dtype", {"dtype": "O"}), ("params", {"axes": "x"}), ("params", {}), ("cotangents", [{}]), ("label", 3),
        ("name", 'a"b'), ("op", None), ("rules", [1]), ("cut", [True] * 9), ("scope", "nowhere"), ("value", "1"),
    ],
)  # fmt: skip
def test_each_part_is_checked(key: str, value: Any, documents: list[str]) -> None:
    changed = json.loads(documents[0])
    node = next(n for n in changed["nodes"] if n["op"] == "sum")
    node[key] = value
    with pytest.raises(mg.errors.ArgumentError, match=r"^text: "):
        mg.Graph.from_json(json.dumps(changed))


def test_strings_among_parameters_stay_strings(documents: list[str]) -> None:
    @mg.primitive(lambda g, x, mode: g, samples=(mg.domains.reals,), c="{x}", name="hostile_mode")
    def hostile(xp: Any, x: Any, *, mode: Any) -> Any:
        return x

    x = mg.tensor([1.0], requires_grad=True, name="x")
    for text in HOSTILE:
        with mg.trace() as graph:
            mg.sum(hostile(x, mode=(text, 1)) * 2.0).backward()
        use(graph)
        assert faults_of(graph.derivation("x").python) == []
