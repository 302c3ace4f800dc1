"""The program of a cell: six lines that print what a library gives and what it should; running it makes the cell."""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any, NamedTuple

import numpy as np
from columns import COLUMNS
from formulas import FORMULAS
from libraries import Library

DRAWS = 3


class Outcome(NamedTuple):
    """How a run of a program ended.

    `error` is the largest difference over the largest element, NaN where the library's numbers are not finite;
    `at_zero` is the largest element of the library's where the formula has no derivative, None where it has one
    everywhere.
    """

    error: float
    at_zero: float | None


def program(library: Library, norm: str, column: str, order: int, draw: int) -> str:
    """What a reader runs: `found` is the library's, `wanted` HIPS autograd's of the formula in float64."""
    formula, (_, _, dtype, change, _, _) = FORMULAS[norm], COLUMNS[column]
    names = ", ".join(("x", *formula.parameters, "*cs"))
    shapes = [formula.shape, *formula.parameters.values(), *[formula.shape] * order]
    data = [f"{names} = map(np.random.default_rng({draw}).standard_normal, {shapes})"]
    data += [text for text in (formula.prepare, change.format(group=formula.group)) if text]
    if dtype != "float64":
        data.append(f"{names} = (a.astype('{dtype}') for a in ({names}))")
    lines = (
        f"from functools import reduce; from autograd import grad, numpy as np; {library.imports}",
        library.language,
        "; ".join(data),
        f"formula, exact = lambda x: {formula.text}, lambda f, c: grad(lambda x: (f(x) * c).sum())",
        f"layer = {library.norms[norm]}",
        "print(found := n(reduce(D, cs, layer)(t(x))), wanted := reduce(exact, cs, formula)(x.astype('float64')))",
    )
    return "\n".join(lines) + "\n"


def outcome(library: Library, norm: str, column: str, order: int, draw: int) -> Outcome:
    """Runs the program of a cell and compares its numbers."""
    space: dict[str, Any] = {}
    with np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        exec(program(library, norm, column, order, draw), space)  # noqa: S102 (the program is the measurement)
    found, wanted = np.asarray(space["found"], dtype="float64"), space["wanted"]
    known = np.isfinite(wanted)
    largest = np.abs(wanted[known]).max() or 1.0  # all of a gradient may be 0
    error = np.abs(found - wanted)[known].max() / largest if np.isfinite(found).all() else np.nan
    return Outcome(float(error), None if known.all() else float(np.abs(found[~known]).max()))


def cell(library: Library, norm: str, column: str) -> dict[str, Any] | None:
    """What stands in a cell; None where the library has no such layer or the norm nothing that the column changes.

    `least` and `most` are the errors of the draws, of each the worst order; `order` and `draw` say which was the worst.
    """
    if norm not in library.norms or (column == "gamma 0" and "weight" not in FORMULAS[norm].parameters):
        return None
    runs: list[list[Outcome]] = []
    for draw in range(DRAWS):
        runs.append([])
        for order in COLUMNS[column].orders:
            try:
                runs[-1].append(outcome(library, norm, column, order, draw))
            except ImportError:
                raise
            except Exception as problem:  # noqa: BLE001 (whatever a library says is its answer)
                said = " ".join(str(problem).split())[:160]
                return {"refuses": f"{type(problem).__name__}: {said}", "draw": draw, "order": order}
    worst = [max((o.error if math.isfinite(o.error) else math.inf) for o in run) for run in runs]
    draw = max(range(DRAWS), key=worst.__getitem__)
    order = max(range(len(runs[draw])), key=lambda i: (not math.isfinite(runs[draw][i].error), runs[draw][i].error))
    at_zero = [o.at_zero for run in runs for o in run[:1] if o.at_zero is not None]
    said = {"least": finite(min(worst)), "most": finite(max(worst))}
    said |= {"draw": draw, "order": COLUMNS[column].orders[order]}
    return said | ({"at_zero": finite(max(at_zero))} if at_zero else {})


def finite(value: float) -> float | str:
    """A number of JSON, to two digits."""
    return float(f"{value:.1e}") if math.isfinite(value) else "not finite"
