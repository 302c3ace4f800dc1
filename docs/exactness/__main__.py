"""How exact each norm is, library by library.

python docs/exactness measure [LIBRARY ...]    runs the programs of the libraries that are installed, writes the data
python docs/exactness write                    writes docs/exactness.md and the pages of programs from the data
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pages
from columns import COLUMNS
from formulas import FORMULAS
from programs import cell

HERE = Path(__file__).parent
DATA = HERE.parent / "exactness.json"
LIBRARIES = {
    name: importlib.import_module(f"libraries.{name}").LIBRARY
    for name in ("ours", "pytorch", "timm", "keras", "flax", "tinygrad", "chainer", "dezero")
}


def measured(name: str) -> dict[str, object]:
    """The cells of a library, with the versions that gave them.

    Raises:
        PackageNotFoundError: the library is not installed.
    """
    library = LIBRARIES[name]
    versions = {d: version(d) for d in (*library.distributions, "numpy", "autograd")}
    norms = [norm for norm in FORMULAS if norm in library.norms]
    cells = {norm: {column: cell(library, norm, column) for column in COLUMNS} for norm in norms}
    return {"versions": versions, "python": sys.version.split()[0], "cells": cells}


def measure(names: list[str]) -> None:
    """Measures the libraries that are installed here and enters them into the data, each in its place."""
    for name in names or LIBRARIES:
        try:
            found = measured(name)
        except PackageNotFoundError as problem:
            print(f"{name}: {problem} is not installed", file=sys.stderr)
            continue
        data = (json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}) | {name: found}
        kept = {name: data[name] for name in LIBRARIES if name in data}
        DATA.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write() -> None:
    """Writes the pages."""
    for name, page in pages.pages(json.loads(DATA.read_text(encoding="utf-8")), LIBRARIES).items():
        (HERE.parent / name).parent.mkdir(exist_ok=True)
        (HERE.parent / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    {"measure": measure, "write": lambda _: write()}[sys.argv[1]](sys.argv[2:])
