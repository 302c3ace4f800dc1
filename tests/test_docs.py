"""Every example that people read runs: docstrings, the Python blocks of every page, and the tutorials."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from examples import BLOCK
from house import ROOT, dotted, tracked


def text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


MODULES = [
    dotted(path).removeprefix("layers.") for path in tracked("minigrad/*.py", "layers/*.py") if ">>> " in text(path)
]
PAGES = [path for path in tracked("*.md") if BLOCK.search(text(path))]
TUTORIALS = tracked("tutorials/[0-9]*.py")


def run(*arguments: object, cwd: Path) -> str:
    """What a new interpreter prints; a warning is an error there too."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *map(str, arguments)],
        cwd=cwd, env=os.environ | {"MPLBACKEND": "Agg"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def _host(backend: str) -> None:
    if backend != "numpy":
        pytest.skip("examples are written, and their results printed, for the default backend")


@pytest.fixture(scope="module")
def outcomes(_host: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int, str]]:
    """What became of the docstrings of every module, all run in one interpreter."""
    told: dict[str, tuple[int, int, str]] = json.loads(
        run(ROOT / "tests/examples.py", *MODULES, cwd=tmp_path_factory.mktemp("examples"))
    )
    return told


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings(name: str, outcomes: dict[str, tuple[int, int, str]]) -> None:
    failed, tried, differences = outcomes[name]
    assert failed == 0, differences
    assert tried > 0


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_the_python_blocks_of_a_page(path: Path, tmp_path: Path) -> None:
    run(ROOT / "tests/examples.py", ROOT / path, cwd=tmp_path)


@pytest.mark.parametrize("path", TUTORIALS, ids=str)
def test_a_tutorial_runs_from_anywhere(path: Path, tmp_path: Path) -> None:
    run(ROOT / path, cwd=tmp_path)


def test_the_pictures_show_what_the_code_draws() -> None:
    make = runpy.run_path(str(ROOT / "docs/pictures/make.py"))
    for name, draw in make["PICTURES"].items():
        picture = (ROOT / "docs/pictures" / name).read_text(encoding="utf-8")
        assert picture.endswith(make["digest"](draw().source)), f"{name}: run python docs/pictures/make.py, look at it"
        assert len(picture) < 300_000


@pytest.fixture(scope="module")
def primitives() -> dict[str, Any]:
    """The script that writes docs/primitives."""
    return runpy.run_path(str(ROOT / "docs/primitives/make.py"))


AGAIN = "run python docs/primitives/make.py (or scripts/docs) and look at what changed"


def test_the_pages_of_primitives_say_what_is_declared(primitives: dict[str, Any]) -> None:
    folder = ROOT / "docs/primitives"
    pages = primitives["pages"]()
    assert {path.name for path in folder.glob("*.md")} == set(pages), AGAIN
    for name, page in pages.items():
        assert text(folder / name) == page, f"docs/primitives/{name} is not what the code says: {AGAIN}"


def test_the_pictures_of_primitives_show_what_is_drawn(primitives: dict[str, Any]) -> None:
    folder, ops = ROOT / "docs/primitives/pictures", primitives["ours"]()
    assert {path.stem for path in folder.iterdir()} == set(ops), AGAIN
    for name, op in ops.items():
        picture = text(folder / f"{name}.svg")
        assert picture.endswith(primitives["digest"](primitives["drawing"](op))), f"{name}.svg is out of date: {AGAIN}"
        assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 600_000


@pytest.fixture(scope="module")
def layers() -> dict[str, Any]:
    """The script that writes docs/layers."""
    return runpy.run_path(str(ROOT / "docs/layers/make.py"))


LAYERS_AGAIN = "run python docs/layers/make.py (or scripts/docs) and look at what changed"


def test_the_pages_of_layers_say_what_is_registered(layers: dict[str, Any]) -> None:
    folder = ROOT / "docs/layers"
    pages = layers["pages"]()
    assert {path.name for path in folder.glob("*.md")} == set(pages), LAYERS_AGAIN
    for name, page in pages.items():
        assert text(folder / name) == page, f"docs/layers/{name} is not what the layers say: {LAYERS_AGAIN}"
    for library, names in layers["ELSEWHERE"].items():
        assert set(names) <= set(layers["ours"]()), f"elsewhere.json names layers of {library} that are not there"


def test_the_pictures_of_layers_show_what_is_drawn(layers: dict[str, Any]) -> None:
    folder = ROOT / "docs/layers/pictures"
    assert {path.stem for path in folder.iterdir()} == set(layers["pictured"]()), LAYERS_AGAIN
    for name in layers["pictured"]():
        picture = text(folder / f"{name}.svg")
        assert picture.endswith(layers["digest"](layers["drawing"](name))), f"{name}.svg is out of date: {LAYERS_AGAIN}"
        assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000


LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)")


@pytest.mark.parametrize("path", tracked("*.md"), ids=str)
def test_the_links_of_a_page_lead_somewhere(path: Path) -> None:
    for target, _ in LINK.findall(text(path)):
        assert (ROOT / path.parent / target).exists(), f"{path} links to {target}"


def test_decisions_are_numbered_once_and_without_a_gap() -> None:
    pages = sorted(path for path in tracked("docs/decisions/*.md"))
    assert [path.name[:4] for path in pages] == [f"{k:04}" for k in range(1, len(pages) + 1)]
    for path in pages:
        assert text(path).startswith(f"# {int(path.name[:4])}. "), f"{path}: its heading has another number"


def test_every_decision_that_is_referred_to_exists() -> None:
    numbers = {path.name[:4] for path in tracked("docs/decisions/*.md")}
    for path in tracked("*.md", "*.py"):
        for number in re.findall(r"decisions/(\d{4})", text(path)):
            assert number in numbers, f"{path} refers to docs/decisions/{number}"
