"""The table of single operations: each beside NumPy's own call, over a million elements, forward and backward."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.bare import DEARER
from benchmarks.harness import ROOT, Method, environment, spread

LIMIT = 1.15
COMPILED = "beside a compiled kernel, for information"
AGAINST = {"minigrad": "numpy", "recording": "numpy", "backward": "numpy backward"}
"""Each column of ratios, and what it is a ratio to."""


def run(method: Method, log: Any) -> list[dict[str, Any]]:
    """Every row, from a process of its own with one thread: medians of seconds, and ratios taken round by round."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.ops_worker", "--rounds", str(5 * method.rounds)]
    worker = subprocess.Popen(command, cwd=ROOT, env=environment(1, "own"), stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    found = []
    for line in worker.stdout:
        row = json.loads(line)
        log(f"ops: {row['op']} {row['dtype']} {row['axis']}")
        seconds = row.pop("seconds", {})
        row["seconds"] = {name: float(f"{spread(values)[0]:.4g}") for name, values in seconds.items()}
        row["ratio_p50_p10_p90"] = {
            name: [round(r, 3) for r in spread([a / b for a, b in zip(seconds[name], seconds[to], strict=True)])]
            for name, to in AGAINST.items()
            if name in seconds
        }
        row["ratio_of_fastest"] = {
            name: round(min(seconds[name]) / min(seconds[to]), 3) for name, to in AGAINST.items() if name in seconds
        }
        found.append(row)
    if worker.wait():
        raise RuntimeError("benchmarks.ops_worker failed; run it by itself to see why")
    return found


def forward(row: dict[str, Any]) -> float:
    """The ratio that is judged: the larger of both forwards'.

    Of each the median, or the ratio of the fastest turns where that is lower: caches that other programs share can only
    make a turn slower.
    """
    middle, fastest = row["ratio_p50_p10_p90"], row["ratio_of_fastest"]
    return max(
        (min(middle[name][0], fastest[name]) for name in ("minigrad", "recording") if name in middle), default=0.0
    )


def reason(row: dict[str, Any]) -> str:
    """Why a row is not judged, if it is not."""
    if row["note"].endswith("kernel"):
        return COMPILED
    return DEARER.get((row["op"], row["dtype"]), "") or DEARER.get(row["op"], "")


def verdict(found: list[dict[str, Any]]) -> tuple[str, bool]:
    """The target in words, and whether it was reached."""
    judged = [row for row in found if not reason(row) and "error" not in row]
    above = [f"{row['op']} {row['dtype']} {row['axis']}".strip() for row in judged if forward(row) > LIMIT]
    text = f"target: forward at most {LIMIT:g}x NumPy in {len(judged)} rows: "
    return text + (f"MISSED by {', '.join(above)}" if above else "reached"), not above


def lines(found: list[dict[str, Any]]) -> list[str]:
    """A line a row: NumPy's time and the ratios."""
    out = ["", "ops: one call over 1,048,576 elements, seconds of the processor, beside NumPy's own (1 thread, kept)"]
    out.append(f"  {'':<16}{'axis':<6}{'':<9}{'NumPy':>9}  {'minigrad':>18}{'recording':>18}{'backward':>18}")
    for row in found:
        head = f"  {row['op']:<16}{row['axis']:<6}{row['dtype']:<9}"
        if "error" in row:
            out.append(head + row["error"])
            continue
        columns = [
            f"{r[0]:6.2f} [{r[1]:.2f}-{r[2]:.2f}]" if (r := row["ratio_p50_p10_p90"].get(name)) else ""
            for name in AGAINST
        ]
        about = " ".join(filter(None, (row["note"], "*" if reason(row) else "")))
        out.append(
            f"{head}{row['seconds']['numpy'] * 1e3:6.3f} ms {''.join(f'{c:>18}' for c in columns)}  {about}".rstrip()
        )
    for why in dict.fromkeys(map(reason, found)):
        if why:
            names = dict.fromkeys(row["op"] for row in found if reason(row) == why)
            worst = max(forward(row) for row in found if reason(row) == why)
            out.append(f"  * {', '.join(names)} (up to {worst:.2f}): {why}")
    return [*out, f"  {verdict(found)[0]}"]
