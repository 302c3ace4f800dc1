"""What a primitive declares in C, compiled as it stands and run over host arrays."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

HEAD = """
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tgmath.h>
static inline double wins(double a, double b) { return a > b || a != a ? a : b; }
"""
# As the declaration asks: signed integers wrap, a product and a sum are not fused, nothing is taken for finite.
FLAGS = ("-std=c11", "-O2", "-shared", "-fPIC", "-fwrapv", "-ffp-contract=off", "-fno-math-errno", "-w")


def compiler() -> str | None:
    """The C compiler of this machine: `$MINIGRAD_CC`, else cc, gcc or clang on PATH."""
    asked = os.environ.get("MINIGRAD_CC")
    return asked or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def ctype(dtype: Any) -> str:
    """The type in C of the numbers of a dtype; float16 is handed over, and computed, as float."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return "bool"
    return f"{'u' * (dtype.kind == 'u')}int{8 * dtype.itemsize}_t" if dtype.kind in "iu" else FLOATING[dtype.char]


FLOATING = {"e": "float", "f": "float", "d": "double"}


def literal(value: Any, dtype: Any) -> str:
    """A parameter as a number in C; a dtype has none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(int(value)) if isinstance(value, bool) else ""
    if isinstance(value, int):
        return f"{value}{'ull' if value >= 0 else 'll'}" if np.dtype(dtype).kind == "u" else f"(int64_t){value}ll"
    if math.isnan(value):
        return "NAN"
    number = float(value).hex() if math.isfinite(value) else f"{'-' * (value < 0)}INFINITY"
    return f"({ctype(dtype)}){number}" if np.dtype(dtype).kind == "f" else number


def mapped(op: Any, args: list[Array], params: dict[str, Any], out: Array, name: str) -> str | None:
    """A C function that computes a map for such arrays; None where nothing is declared for their kind."""
    within = op.computes_in(*args, **params)
    c = op.expression(within.kind)
    if c is None:
        return None
    raw = isinstance(op.c, dict) and "raw" in op.c
    pairs = enumerate(zip(op.inputs, args, strict=True))
    names = {n: f"(({ctype(a.dtype if raw else within)})x{k}[i])" for k, (n, a) in pairs}
    names |= {n: literal(v, args[0].dtype if raw else within) for n, v in params.items()}
    arrays = "".join(f"const {ctype(a.dtype)} *x{k}, " for k, a in enumerate(args))
    body = f"y[i] = {c.format(**names, T=ctype(out.dtype), i='i')};"
    return f"void {name}({arrays}{ctype(out.dtype)} *y, size_t n) {{ for (size_t i = 0; i < n; i++) {{ {body} }} }}"


def folded(op: Any, x: Array, out: Array, name: str) -> str:
    """A C function that folds all elements of an array into one."""
    operator, identity, element = op.reduce
    wide = "double" if out.dtype.kind == "f" else ctype(out.dtype)
    kind = x.dtype.kind
    start = literal(float(identity), out.dtype)
    if math.isinf(identity) and kind in "iub":
        limits = (0, 1) if kind == "b" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
        start = f"({ctype(x.dtype)}){limits[identity > 0]}{'ull' if kind == 'u' else ''}"
        start = "INT64_MIN" if start.endswith(str(-(2**63))) else start
    e = element.format(x=f"(({wide if kind == 'f' and out.dtype.kind == 'f' else ctype(x.dtype)})x[i])")
    e = f"({ctype(x.dtype)})({e})" if kind in "iub" and element != "{x}" and operator in "+*" else e
    join = {
        "max": f"{{ {wide} e = {e}; s = s > e || s != s ? s : e; }}",
        "min": f"{{ {wide} e = {e}; s = s < e || s != s ? s : e; }}",
    }.get(operator, f"s = s {operator} ({e});")
    return (
        f"void {name}(const {ctype(x.dtype)} *x, {ctype(out.dtype)} *y, size_t n) "
        f"{{ {wide} s = {start}; for (size_t i = 0; i < n; i++) {join} y[0] = s; }}"
    )


def built(functions: list[str], folder: Path) -> Any:
    """The functions as a library; AssertionError with the compiler's words where it takes them not."""
    (folder / "kernels.c").write_text(HEAD + "\n".join(functions) + "\n")
    command = [str(compiler()), *FLAGS, "kernels.c", "-o", "kernels.so", "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(folder / "kernels.so"))


def run(function: Any, args: list[Array], out: Array) -> Array:
    """The result of a function of such a library, in the dtype of `out`."""
    half = lambda a: a.astype(np.float32) if a.dtype == np.float16 else a
    held = [np.ascontiguousarray(half(a)) for a in args]
    y = np.empty(out.shape, np.float32 if out.dtype == np.float16 else out.dtype)
    function(*(ctypes.c_void_p(a.ctypes.data) for a in held), ctypes.c_void_p(y.ctypes.data),
             ctypes.c_size_t(held[0].size if out.ndim == 0 else out.size))  # fmt: skip
    with np.errstate(over="ignore"):
        return y.astype(out.dtype)
