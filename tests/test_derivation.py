"""Derivations: the program that they write computes the recorded gradient, digit for digit; their texts are right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from kinks import TABLE
from tables import OPS, TRACKED, points

import minigrad as mg
from minigrad.errors import GraphError, UnknownNameError
from minigrad_layers import BatchNorm1d, Dropout, LayerNorm, Linear, ReLU, Sequential

DRIVER = """
import json, runpy, sys, pathlib
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    names = runpy.run_path(str(path))
    found = {k: v.tolist() for k, v in names.items() if k.startswith("d_") and hasattr(v, "tolist")}
    print(json.dumps([path.stem, found]))
"""


def run(programs: dict[str, str], folder: Path) -> dict[str, dict[str, Any]]:
    """What each program calls d_…, computed in a new interpreter."""
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DRIVER, "."],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.fixture(autouse=True)
def _host(backend: str) -> None:
    if backend != "numpy":
        pytest.skip("the programs make tensors on the default backend of a new interpreter")


def test_every_rule_can_be_written_as_a_program(tmp_path: Path):
    programs, expected, unwritten = {}, {}, []
    for name in TRACKED:
        op, rng = OPS[name], np.random.default_rng(3)
        for k, (args, params) in enumerate(points(op, 3, seed=11)):
            tensors = [mg.tensor(a) for a in args]
            for i, t in enumerate(tensors):
                t.requires_grad = op.pull_for(i)[0] is not None and t.dtype.kind == "f"
            with mg.trace() as graph:
                out = op.call(*tensors, **params)
                ys = [y for y in (out if isinstance(out, tuple) else (out,)) if y.requires_grad]
                if not ys:
                    continue
                sum((mg.sum(y * mg.tensor(rng.normal(size=y.shape))) for y in ys), mg.tensor(0.0)).backward()
            node = next(n for n in graph.nodes if n.op == name)
            for i, t in enumerate(tensors):
                if t.grad is None:
                    continue
                case = f"{name}-{k}-{i}"
                try:
                    programs[case] = graph.derivation(str(node.inputs[i])).python
                except GraphError:
                    unwritten.append(name)
                    continue
                expected[case] = (t.grad.numpy(), str(node.inputs[i]))
    assert set(unwritten) <= {"scatter_add"}  # a mask, whose rule has a shape that depends on values
    found = run(programs, tmp_path)
    assert found.keys() == expected.keys()
    for case, (gradient, called) in expected.items():
        value = np.array(found[case][f"d_{called}"], gradient.dtype).reshape(gradient.shape)
        assert np.array_equal(value, gradient, equal_nan=True), programs[case]


def test_programs_give_the_documented_gradients_at_kinks(tmp_path: Path):
    """What a label leaves out for the reader (the guards at a special point) is in the program."""
    programs, kinks = {}, [k for k in TABLE if "." not in k.name]
    for n, kink in enumerate(kinks):
        tensors = [x.named(f"x{k}") for k, x in enumerate(kink.tensors("float64"))]
        with mg.trace() as graph, np.errstate(divide="ignore"):
            kink.function(*tensors).sum().backward()
        programs |= {f"k{n}_{k}": graph.derivation(f"x{k}").python for k in range(len(tensors))}
    poles = "import numpy\nnumpy.seterr(divide='ignore')\n"
    found = run({name: poles + text for name, text in programs.items()}, tmp_path)
    for n, kink in enumerate(kinks):
        for k, expected in enumerate(kink.gradient):
            value = np.array(found[f"k{n}_{k}"][f"d_x{k}"], np.float64)
            assert np.array_equal(value, np.array(expected, np.float64)), (str(kink), k, programs[f"k{n}_{k}"])


def test_functions_are_listed_as_the_package_has_them():
    from minigrad.graph.pythonic import FUNCTIONS, INFIX

    own = {name for name, op in OPS.items() if getattr(getattr(mg, name, None), "primitive", None) is op}
    assert own == FUNCTIONS
    assert {"exp", "where", "power", *INFIX} <= FUNCTIONS | {"matmul"}


LAYERS = {
    "BatchNorm1d": lambda: Sequential(BatchNorm1d(3, dtype="float64")),
    "LayerNorm": lambda: Sequential(LayerNorm(3)),
    "several": lambda: Sequential(Linear(3, 4), BatchNorm1d(4), ReLU(), Dropout(0.3), Linear(4, 2)),
}


def traced(name: str, rows: int = 6, dtype: str = "float64") -> tuple[Any, mg.Tensor, mg.Graph]:
    model = LAYERS[name]()
    x = mg.tensor(np.random.default_rng(0).normal(2, 1, (rows, 3)), dtype=dtype, requires_grad=True, name="x")
    with mg.trace(model) as graph:
        mg.mean(model(x) ** 3).named("loss").backward()
    return model, x, graph


def test_the_program_of_a_layer_computes_its_gradients(tmp_path: Path):
    programs, expected = {}, {}
    for name in LAYERS:
        model, x, graph = traced(name)
        programs[name] = graph.derivation("Sequential").python
        known = {n.rpartition(".")[2] if name != "several" else n: p.grad.numpy() for n, p in model.named_parameters()}
        expected[name] = {"x": x.grad.numpy(), **known} if name != "several" else {"x": x.grad.numpy()}
    found = run(programs, tmp_path)
    for name, gradients in expected.items():
        for called, gradient in gradients.items():
            value = np.array(found[name][f"d_{called}"])
            assert np.abs(value - gradient).max() <= 1e-15 * max(1, np.abs(gradient).max()), (name, called)


def test_many_numbers_are_read_from_the_graph(tmp_path: Path):
    _, x, graph = traced("several", rows=200)
    graph.save(tmp_path / "graph.json")
    program = graph.derivation("Sequential").python
    assert "[" not in program.split("# values")[1].split("# forward")[0].replace("cotangents[0]", "")
    assert len(program) <= 6000
    found = run({"one": program, "two": graph.derivation("x").python}, tmp_path)
    for case in found.values():
        assert np.abs(np.array(case["d_x"]) - x.grad.numpy()).max() <= 1e-15


def test_dtypes_several_outputs_and_odd_numbers(tmp_path: Path):
    a = mg.tensor([[2.0, 0.5], [0.5, 1.0]], requires_grad=True, name="lambda")
    b = mg.tensor([1.5, float("inf"), -2.0], dtype="float32", requires_grad=True, name="mg")
    e = mg.tensor(np.zeros((0, 2)), requires_grad=True, name="d_empty")
    with mg.trace() as graph:
        values, _ = mg.linalg.eigh(a)
        wide = mg.astype(b, "float64") * mg.tensor([2.0, 1.0, 3.0])
        y = values.sum() + (mg.maximum(wide, 0.0) ** 1.5).sum() + (e * 2.0).sum()
        y.backward()
    programs = {name: graph.derivation(name).python for name in ("lambda", "mg", "d_empty", "eigh_1")}
    found = run(programs, tmp_path)
    assert found["lambda"]["d_lambda_"] == a.grad.tolist()
    assert np.array_equal(np.array(found["mg"]["d_mg_"]), b.grad.numpy().astype(float), equal_nan=True)
    assert 'float("inf")' in programs["mg"]
    assert found["d_empty"]["d_empty"] == []
    assert "d_eigh_1 = (d_pick_1, mg.zeros((2, 2)" in programs["eigh_1"]
    assert "lambda_ = " not in programs["eigh_1"]


def test_text_of_a_node():
    x = mg.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True, name="x")
    with mg.trace() as graph:
        mean = mg.mean(x, axis=0).named("mean")
        y = ((x - mean).named("centred") * x).named("y")
        y.backward(np.ones((2, 2)))
    assert graph.derivation("x").text == (
        "The gradient at x, in backward pass 1; ∂v is the cotangent of v\n"
        "\n"
        "x    (2×2 float64)\n"
        "    ∂x = ∂y·centred + ∂centred + broadcast(∂sum_1)\n"
        "        ∂y·centred           through y = centred·x\n"
        "        ∂centred             through centred = x - mean\n"
        "        broadcast(∂sum_1)    through sum_1 = sum(x, axis=0)\n"
    )
    assert graph.derivation("y").text.endswith(
        "y = centred·x    (2×2 float64)\n    ∂y is where the backward pass began\n"
    )
    assert graph.derivation("mean").latex == (
        "\\begin{aligned}\n"
        "\\partial \\mathrm{mean} &= \\sum_{0} \\left(-\\partial \\mathrm{centred}\\right) "
        "&& \\text{through } \\mathrm{centred} = x - \\mathrm{mean}\n\\end{aligned}"
    )


def test_a_step_for_each_value_of_a_layer():
    _, _, graph = traced("several")
    derivation = graph.derivation("Sequential/1")
    names = [step.node.label or step.node.op for step in derivation.steps]
    assert [n for n in names if n in ("mean", "var", "1.weight", "1.bias")] == ["1.bias", "1.weight", "var", "mean"]
    assert derivation.steps[0].terms == ()
    assert "comes from outside" in derivation.text
    assert derivation.text.startswith("The gradients in BatchNorm1d(4), in backward pass 1")
    for part in (derivation, graph.derivation("Sequential"), graph.derivation("loss")):
        tree = ET.fromstring(part.mathml)
        rows = sum(max(1, len(step.terms)) for step in part.steps)
        assert len(tree.findall(".//{*}mtr")) == rows
        assert part.latex.count("{") == part.latex.count("}")
        assert part.latex.count("&") == 3 * rows
        assert repr(part) == part.text


def test_uses_outside_a_layer_are_mentioned():
    layer = Linear(2, 2, dtype="float64")
    x = mg.tensor([[1.0, 2.0]], requires_grad=True, name="x")
    with mg.trace(layer) as graph:
        (layer(x) * x).sum().backward()
    derivation = graph.derivation("Linear")
    assert [step.elsewhere for step in derivation.steps if step.node.label == "x"] == [1]
    assert "what 1 use outside sent" in derivation.text
    assert "the part from inside" in derivation.python
    assert r"&+ \cdots &&" in derivation.latex


def test_the_latest_backward_pass_is_derived():
    x = mg.tensor(3.0, requires_grad=True, name="x")
    with mg.trace() as graph:
        (dx,) = mg.gradients((x * x * x).named("y"), [x], create_graph=True)
        mg.gradients((dx * 2.0).named("z"), [x])
    derivation = graph.derivation("x")
    assert "in backward pass 2" in derivation.text
    assert all(graph.node(t.through.name).cotangents[-1].sweep == 2 for t in derivation.steps[0].terms)


def test_what_cannot_be_derived_says_why():
    @mg.primitive(
        lambda g, x: g * float(np.asarray(x).sum()), show=None, samples=(mg.domains.reals,), c="{x}", name="lawless"
    )
    def lawless(xp: Any, x: Any) -> Any:
        return x * 1

    x = mg.tensor([1.0], requires_grad=True, name="x")
    other = mg.tensor([1.0], requires_grad=True, name="other")
    with mg.trace() as graph:
        (lawless(x) + mg.tensor([1.0])).sum().backward()
        other * 2.0
    assert "rule_of_lawless(∂lawless_1)" in graph.derivation("x").text
    with pytest.raises(GraphError, match="rule of 'lawless' has no formula"):
        graph.derivation("x").python
    with pytest.raises(GraphError, match="no backward pass of this trace arrived at 'input_"):
        graph.derivation("other")
    with pytest.raises(UnknownNameError, match=r"path: no node is called or labelled 'xx'.*'x'"):
        graph.derivation("xx")
    with mg.trace(values=False) as empty:
        mg.relu(x * x).sum().backward()
    assert "∂x = " in empty.derivation("x").text
    with pytest.raises(GraphError, match="values=True"):
        empty.derivation("x").python
    with pytest.raises(UnknownNameError, match="of layers and composites there are 'relu'"):
        empty.derivation("relo")


def test_what_remat_runs_again_belongs_to_the_same_pass(tmp_path: Path):
    x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
    with mg.trace() as graph:
        h = (x * 3.0).named("h")
        (mg.remat(lambda v: mg.tanh(v * 0.5).named("inner"))(h) * h).named("y").sum().backward()
    assert {c.sweep for n in graph.nodes for c in n.cotangents} == {1}
    assert [n.op for n in graph.nodes for c in n.cotangents if c.began] == ["sum"]
    assert len(graph.derivation("h").steps[0].terms) == 2
    assert "∂inner comes from outside" in graph.derivation("inner").text
    found = run({"h": graph.derivation("h").python}, tmp_path)
    assert np.abs(np.array(found["h"]["d_h"]) * 3.0 - x.grad.numpy()).max() <= 1e-15
