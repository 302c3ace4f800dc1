"""The table of how exact each norm is: our own cells, measured here; wrong ones are seen; the pages are its data."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest
from house import ROOT

pytest.importorskip("autograd", reason="HIPS autograd comes with the extra `dev`")
TABLE: dict[str, Any] = runpy.run_path(str(ROOT / "docs/exactness"))
OURS = TABLE["LIBRARIES"]["ours"]
DATA = json.loads((ROOT / "docs/exactness.json").read_text(encoding="utf-8"))
EXACT = {"float64": 1e-13, "float32": 1e-5, "float16": 2e-3}  # far below what the table calls wrong
LESS = {  # where it is no fault of ours, or a rounding of the mean
    ("DecorrelatedBatchNorm", "float64"): 1e-10,  # the reference divides by differences of eigenvalues
    ("WeightStandardization", "float32"): 0.15,  # the mean of weights far from 0, rounded once
}
CELLS = [(norm, column) for norm in OURS.norms for column in TABLE["COLUMNS"]]
AGAIN = "run python docs/exactness write"


@pytest.fixture(autouse=True)
def _host(backend: str) -> None:
    if backend != "numpy":
        pytest.skip("the table is of the default backend")


def assert_exact(cell: dict[str, Any] | None, norm: str, column: str) -> None:
    if cell is None:
        assert column == "gamma 0"
        assert "weight" not in TABLE["FORMULAS"][norm].parameters
        return
    assert "refuses" not in cell, cell
    assert "not finite" not in cell.values(), cell
    dtype = TABLE["COLUMNS"][column].dtype
    assert cell["most"] <= LESS.get((norm, dtype), EXACT[dtype]), cell
    assert cell.get("at_zero", 0) <= 10, cell


@pytest.mark.parametrize(("norm", "column"), CELLS)
def test_our_cells(norm: str, column: str) -> None:
    assert_exact(TABLE["cell"](OURS, norm, column), norm, column)


def test_the_data_have_our_cells_too() -> None:
    assert list(DATA["ours"]["cells"]) == [norm for norm in TABLE["FORMULAS"] if norm in OURS.norms]
    for norm, column in CELLS:
        assert_exact(DATA["ours"]["cells"][norm][column], norm, column)


def test_the_pages_say_what_the_data_say() -> None:
    written = TABLE["pages"].pages(DATA, TABLE["LIBRARIES"])
    there = {f"exactness/wrong/{path.name}" for path in (ROOT / "docs/exactness/wrong").glob("*.md")}
    assert there == set(written) - {"exactness.md"}, AGAIN
    for name, page in written.items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == page, f"docs/{name} is out of date: {AGAIN}"


def test_the_readme_says_what_the_data_say() -> None:
    for line in TABLE["pages"].summary(DATA, TABLE["LIBRARIES"]):
        assert line in (ROOT / "README.md").read_text(encoding="utf-8"), f"README.md lacks {line}"


FAULTS = {  # a fault in batch norm, and the columns that it is wrong in
    "the mean is no function of x": (
        "(d := x - mg.stop_gradient(mg.mean(x, 0), why='no')) * mg.rsqrt(mg.mean(d * d, 0) + 1e-5) * weight + bias",
        {"order 1", "order 2", "order 3", "offset 1e4", "offset 1e6", "zero", "constant", "gamma 0", "float16"},
    ),
    "the variance by its parts": (
        "(x - mg.mean(x, 0)) * mg.rsqrt(mg.mean(x * x, 0) - mg.square(mg.mean(x, 0)) + 1e-5) * weight + bias",
        {"offset 1e4", "offset 1e6", "float16"},
    ),
    "squares in half precision": (
        "(d := x - mg.mean(x, 0)) * mg.rsqrt(mg.mean(d * d, 0) + 1e-5) * weight + bias", {"float16"},
    ),
    "eps outside of the root": (
        "(d := x - mg.mean(x, 0)) / (mg.sqrt(mg.mean(d * d, 0)) + 1e-5) * weight + bias",
        {"order 1", "order 2", "order 3", "constant", "zero", "gamma 0"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_norm_has_wrong_cells(fault: str) -> None:
    text, expected = FAULTS[fault]
    wrong = TABLE["pages"].wrong
    text = text.replace("weight", "t(weight)").replace("bias", "t(bias)")
    library = OURS._replace(norms={"BatchNorm": f"lambda x: {text}"})
    cells = {column: TABLE["cell"](library, "BatchNorm", column) for column in TABLE["COLUMNS"]}
    assert expected <= {column for column, cell in cells.items() if wrong(cell, column)}, cells


def test_a_library_that_raises_refuses() -> None:
    library = OURS._replace(norms={"BatchNorm": "lambda x: mg.reshape(x, (7,))"})
    cell = TABLE["cell"](library, "BatchNorm", "order 1")
    assert cell["refuses"].startswith("ShapeError: ")
    with pytest.raises(ImportError):
        TABLE["cell"](library._replace(imports="import mingrad"), "BatchNorm", "order 1")
