"""Every example that people read runs: docstrings, the Python blocks of every page, and the tutorials."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from house import ROOT, dotted, tracked

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [path for path in tracked("*.md") if BLOCK.search((ROOT / path).read_text(encoding="utf-8"))]
MODULES = [
    path for path in tracked("minigrad/*.py", "layers/*.py") if ">>> " in (ROOT / path).read_text(encoding="utf-8")
]
TUTORIALS = tracked("tutorials/[0-9]*.py")


@pytest.fixture(autouse=True)
def _somewhere_else(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend != "numpy":
        pytest.skip("examples are written, and their results printed, for the default backend")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_the_examples_of_docstrings(path: Path) -> None:
    module = import_module(dotted(path).removeprefix("layers."))
    failed, tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert failed == 0, "the differences are printed above"
    assert tried > 0


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_the_python_blocks_of_a_page(path: Path) -> None:
    """The blocks of one page run one after the other in one namespace, as a reader would type them."""
    text = (ROOT / path).read_text(encoding="utf-8")
    space: dict[str, object] = {"__name__": path.stem}
    for block in BLOCK.finditer(text):
        above = text.count("\n", 0, block.start(1))
        exec(compile("\n" * above + block.group(1), str(ROOT / path), "exec"), space)  # the page is ours


@pytest.mark.parametrize("path", TUTORIALS, ids=str)
def test_a_tutorial_runs_from_anywhere(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / path)],
        cwd=tmp_path, env=os.environ | {"MPLBACKEND": "Agg"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
