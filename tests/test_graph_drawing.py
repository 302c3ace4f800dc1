"""Drawings as DOT text: what is folded at which depth, names that come back, stable text, values in few words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dotparse
import graph_program
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from memory import calls_in

import minigrad as mg
from minigrad.errors import ArgumentError
from minigrad.graph import render

HERE = Path(__file__).parent


def drawn(graph: mg.Graph, **view: Any) -> dotparse.Dot:
    return dotparse.parse(graph.dot(**view).source)


def shown(dot: dotparse.Dot) -> dict[str, str]:
    return {name: dotparse.plain(attributes["label"]) for name, attributes in dot.nodes.items()}


# ---- folding


@pytest.mark.parametrize(
    ("depth", "boxes", "clusters"),
    [
        (0, {"Net", "sum_1", "multiply_1"}, []),
        (1, {"Net/norm", "Net/relu"}, ["cluster_Net"]),
        (
            2,
            {"Net/norm/mean", "Net/norm/sqrt_1", "Net/relu/keep_1"},
            ["cluster_Net", "cluster_Net/norm", "cluster_Net/relu"],
        ),
        (9, {"Net/norm/mean/sum_1", "Net/norm/divide_1"}, ["cluster_Net/norm/mean", "cluster_Net/norm/mean_2"]),
    ],
)
def test_depth(depth: int, boxes: set[str], clusters: list[str]):
    dot = drawn(graph_program.record(), depth=depth)
    assert boxes <= dot.nodes.keys()
    assert set(clusters) <= {*dot.subgraphs}
    ends = {end for a, b, _ in dot.edges for end in (a, b)}
    assert ends <= dot.nodes.keys()  # nothing hangs in the air
    assert all(a != b for a, b, _ in dot.edges)


def test_a_single_layer_is_a_box_at_depth_1():
    x = mg.tensor([[1.0, 2.0], [3.0, 5.0]], name="x")
    with mg.trace() as graph:
        graph_program.Norm()(x, mg.tensor([1.0, 1.0]), mg.tensor([0.0, 0.0]))
        mg.softmax(x)
    assert {"Norm", "softmax"} <= drawn(graph).nodes.keys()
    assert "Norm/divide_1" in drawn(graph, depth=2).nodes


def test_backward_stands_beside_forward():
    dot = drawn(graph_program.record(), depth=9, passes="both")
    text = shown(dot)
    assert text["input_4 grad"] == "∂ unusednot computed"
    back = {
        (a, b): attributes for a, b, attributes in dot.edges if "dir" in attributes and attributes["dir"].text == "back"
    }
    rule = back["Net/norm/sqrt_1 grad", "Net/norm/divide_1 grad"]["label"]
    assert dotparse.plain(rule).strip() == "sum(-g·normalised / sqrt, axis=0)"
    assert {a for a, _ in back} | {b for _, b in back} <= dot.nodes.keys()
    only = drawn(graph_program.record(), depth=9, passes="backward")
    assert all(name.endswith(" grad") for name in only.nodes)


@pytest.mark.parametrize("passes", ["forward", "backward", "both"])
@pytest.mark.parametrize("depth", [0, 1, 2, 9])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_is_dot(passes: str, depth: int, theme: str):
    show = ("shape", "dtype", "value", "grad", "formula", "source", "bytes")
    for direction in ("TB", "LR"):
        drawn(graph_program.record(), passes=passes, depth=depth, theme=theme, show=show, direction=direction)


def test_an_empty_graph_is_drawn():
    with mg.trace() as graph:
        pass
    assert "nothing ran" in graph.dot().source
    drawn(graph)


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ({"depht": 2}, "depht: .*it takes depth, passes, show, direction, theme"),
        ({"depth": -1}, "depth: -1 must be a whole number"),
        ({"depth": True}, "depth: True"),
        ({"passes": "back"}, "passes: 'back' must be one of 'forward', 'backward', 'both'"),
        ({"direction": "RL"}, "direction: 'RL' must be one of 'TB', 'LR'"),
        ({"theme": "sepia"}, "theme: 'sepia' must be one of 'light', 'dark'"),
        ({"show": ("shape", "colour")}, "show: 'colour' must be among 'shape', 'dtype'"),
        ({"show": "colour"}, "show: 'colour'"),
    ],
)
def test_a_wrong_view_lists_the_right_ones(view: dict[str, Any], says: str, tmp_path: Path):
    graph = graph_program.record()
    with pytest.raises(ArgumentError, match=says):
        graph.dot(**view)
    with pytest.raises(ArgumentError, match=says):
        graph.save(tmp_path / "x.json", **view)


# ---- stable text


@pytest.mark.parametrize("name", graph_program.VIEWS)
def test_golden(name: str, backend: str):
    if backend != "numpy":
        pytest.skip("the golden values are those of NumPy's arithmetic")
    expected = (HERE / "data" / f"graph_{name}.dot").read_text(encoding="utf-8")
    assert graph_program.record().dot(**graph_program.VIEWS[name]).source == expected


def test_the_same_text_for_every_hash_seed():
    """F15: no order comes from hashes or addresses."""
    texts = set()
    for seed in ("0", "1", "77"):
        command = [sys.executable, str(HERE / "graph_program.py")]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        texts.add(subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout)
    assert len(texts) == 1


# ---- names

HOSTILE = [
    '"',
    "<lambda>",
    "<b>x</b>",
    "a\nb",
    "0\n",
    "\\",
    "\\n\\l\\N",
    'a\\"b',
    "a\\",
    "]; x -> y; [",
    "&amp;",
    "∂γ×",
    "-->",
    "{}|<p>",
    "a:b:c",
]


class Named(mg.Module):
    """A layer under a name of its own, which labels its value."""

    def __init__(self, name: str) -> None:
        self.label = name
        setattr(self, name, graph_program.Norm())

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return getattr(self, self.label)(x, x, x).named(self.label)


TAKEN = {"label", *dir(mg.Module)}  # names that a layer of this kind has already


def with_name(name: str) -> mg.Graph:
    x = mg.tensor([[1.0], [2.0]], requires_grad=True, name=name)
    model = Named(name)
    with mg.trace(model, sources=False) as graph:
        model(x).sum().backward()
    return graph


UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # no part of an SVG


def check_name(name: str) -> None:
    """D1, F22: DOT parses, no name changes its structure, and the label comes back."""
    graph = with_name(name)
    for view in ({"depth": 0}, {"depth": 9, "passes": "both"}):
        dot = drawn(graph, **view)
        assert {a for a, _, _ in dot.edges} | {b for _, b, _ in dot.edges} <= dot.nodes.keys()
        assert dotparse.plain(dot.nodes["input_1"]["tooltip"]) == UNSHOWN.sub("\ufffd", name)
        label = dotparse.plain(dot.nodes["input_1"]["label"])
        if len(name) <= 40 and name.isprintable():
            assert label == f"{name}2×1 float64"
        assert len(label) <= 60


@pytest.mark.parametrize("name", [*HOSTILE, "x" * 10_000, "<" * 10_000, '"\\' * 5_000, "\x00\x01\x7f\x85"])
def test_hostile_names(name: str):
    check_name(name)


@settings(max_examples=500)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name not in TAKEN))
@example("<lambda> <map>")
def test_any_name(name: str):
    check_name(name)


def test_control_characters_are_shown_as_what_fonts_have():
    x = mg.tensor([1.0, 2.0], name="a\nb\t\x07\x85\ud800")
    with mg.trace() as graph:
        x + 1.0
    assert shown(drawn(graph, show=()))["input_1"] == r"a¶b\t\x07\x85\ud800"


def test_an_engine_reads_hostile_names():
    graphs = [with_name(name) for name in HOSTILE]
    if graphs[0]._repr_svg_() is None:
        pytest.skip("no Graphviz engine here; install graphviz-pure or graphviz")
    svg = render("\n".join(g.dot(depth=9, passes="both").source for g in graphs), "svg").decode()
    assert svg.count("</svg>") == len(HOSTILE)
    assert "&lt;lambda&gt;" in svg


# ---- values


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (np.float32(0.1), ["0.1"]),
        (np.array([-0.0, 1e-5]), ["0  1e-5"]),
        (np.zeros((0, 3)), ["empty"]),
        (np.array(2.5), ["2.5"]),
        (np.array([1, 20]), ["1  20"]),
        (np.array([[1.0, -2.25], [30.0, 4.0]]), [" 1  -2.25", "30      4"]),
        (np.array([[[1.0]], [[2.0]]]), ["1", "2"]),
        (np.arange(100), ["mean 49.5", "0 .. 99"]),
        (np.r_[np.ones(50), np.nan, -np.inf, np.inf], ["mean 1", "1 .. 1", "1 NaN, 2 inf"]),
        (np.full(30, np.nan), ["30 NaN"]),
        (np.arange(40) < 10, ["25 % true"]),
        (np.full(40, 60000, np.float16), ["mean 6e4", "6e4 .. 6e4"]),
    ],
)
def test_values_in_few_words(value: Any, lines: list[str]):
    t = mg.tensor(value)
    with mg.trace() as graph:
        mg.equal(t, t)
    assert shown(drawn(graph, show=("value",)))["input_1"] == "input" + "".join(lines)


@pytest.mark.parametrize(("shape", "text"), [((), "scalar"), ((3,), "3"), ((2, 3), "2×3"), ((0,), "0")])
def test_shapes(shape: Any, text: str):
    t = mg.zeros(shape, dtype="float32")
    with mg.trace() as graph:
        t + 1.0
    assert shown(drawn(graph)) == {"input_1": f"input{text} float32", "constant_1": "1", "add_1": f"add{text} float32"}


def test_the_work_of_drawing_grows_with_the_nodes_only():
    """D3: function calls are counted, for twice as many nodes about twice as many (a square would be four times)."""

    def calls(pairs: int) -> int:
        x = mg.tensor([1.0], requires_grad=True)
        with mg.trace() as graph:
            for _ in range(pairs):
                x = mg.tanh(x) + 1.0
        return calls_in(lambda: graph.dot(depth=9))

    assert calls(400) <= 2.5 * calls(200)
