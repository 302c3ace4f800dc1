"""D2: the engine absent, failing or slow: an error that says what to do, DOT text all the same, and never a shell."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.errors import ArgumentError, RenderError
from minigrad.graph import render


@pytest.fixture
def graph() -> mg.Graph:
    x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
    with mg.trace() as graph:
        mg.tanh(x).sum().backward()
    return graph


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str, name: str = "dot") -> None:
    """Put a program of this name, and nothing else, on the PATH."""
    program = folder / name
    program.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def without_engines(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("minigrad.graph.rendering.beside_python", lambda name: None)


def test_absent(graph: mg.Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_engines(monkeypatch, tmp_path)
    with pytest.raises(RenderError, match=r"no Graphviz engine.*graphviz-pure.*graph\.dot\(\)\.source"):
        graph.save(tmp_path / "x.svg")
    assert list(tmp_path.iterdir()) == []
    assert graph.dot().source.startswith("digraph")
    graph.save(tmp_path / "x.dot")
    assert (tmp_path / "x.dot").read_text() == graph.dot().source
    assert graph._repr_svg_() is None
    (shown,) = graph._repr_mimebundle_().values()
    assert shown.startswith("no Graphviz engine was found")
    assert shown.endswith(graph.dot().source)


def test_failing(graph: mg.Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake(tmp_path, monkeypatch, "sys.stdin.read(); sys.stderr.write('syntax error in line 7'); sys.exit(3)")
    with pytest.raises(RenderError, match=r"exit code 3.*syntax error in line 7"):
        graph.save(tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()


def test_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake(tmp_path, monkeypatch, "sys.stdin.read()")
    with pytest.raises(RenderError, match="it said nothing"):
        render("digraph {}", "svg")


def test_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake(tmp_path, monkeypatch, "time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(RenderError, match=r"timeout=0\.3 s.*smaller depth="):
        render("digraph {}", "svg", timeout=0.3)
    assert time.monotonic() - start < 20


def test_not_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "dot").write_bytes(b"\x7fELF no program")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RenderError, match="could not be run"):
        render("digraph {}", "svg")


def test_arguments_are_a_list_and_no_shell_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake(tmp_path, monkeypatch, "print(sys.argv[1:], sys.stdin.read())")
    assert render("digraph { a }; touch x", "svg; touch y").decode() == "['-Tsvg; touch y'] digraph { a }; touch x\n"
    assert [p.name for p in tmp_path.iterdir()] == ["dot"]


def test_the_system_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake(tmp_path, monkeypatch, "print('pure')", "graphviz-pure")
    assert render("digraph {}", "svg") == b"pure\n"
    fake(tmp_path, monkeypatch, "print('system')")
    assert render("digraph {}", "svg") == b"system\n"


def test_pdf_needs_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: mg.Graph):
    fake(tmp_path, monkeypatch, "", "graphviz-pure")
    with pytest.raises(RenderError, match=r"'pdf' needs the system's `dot`.*png, svg"):
        graph.save(tmp_path / "x.pdf")


def test_pictures(graph: mg.Graph, tmp_path: Path):
    if graph._repr_svg_() is None:
        pytest.skip("no Graphviz engine here; install graphviz-pure or graphviz")
    graph.save(tmp_path / "x.svg", depth=9, passes="both")
    svg = (tmp_path / "x.svg").read_text()
    assert re.search(r"<svg .*tanh.*</svg>", svg, re.DOTALL)
    graph.save(str(tmp_path / "x.PNG"))
    assert (tmp_path / "x.PNG").read_bytes().startswith(b"\x89PNG")
    assert graph._repr_mimebundle_()["image/svg+xml"] == render(graph.dot().source, "svg").decode()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.PNG", "x.svg"]


@pytest.mark.parametrize("name", ["x.html", "x.jpeg", "x", ".svg"])
def test_unknown_suffix(graph: mg.Graph, tmp_path: Path, name: str):
    with pytest.raises(ArgumentError, match=r"must end in one of \.svg, \.png, \.pdf, \.dot, \.json"):
        graph.save(tmp_path / name)


def test_a_failed_write_leaves_the_old_file(graph: mg.Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "x.json"
    graph.save(target)
    old = target.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        graph.save(target)
    assert target.read_bytes() == old
    assert list(tmp_path.iterdir()) == [target]
