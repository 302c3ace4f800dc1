"""The table for people and the document for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.case import Target
from benchmarks.harness import Block, Column, spread

UNITS = ((1.0, "s "), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
IMPORT_LIMIT = 0.090


def seconds(value: float) -> str:
    """Three figures and a unit: `27.4 ms`."""
    size, unit = next((pair for pair in UNITS if abs(value) >= pair[0]), UNITS[-1])
    return f"{value / size:7.3g} {unit}"


def header(facts: dict[str, str], threads: Iterable[int], method: str) -> str:
    """What the figures depend on, before the figures."""
    versions = ", ".join(f"{k} {facts[k]}" for k in facts if k not in ("cpu", "system"))
    return "\n".join(
        (
            f"machine    {facts['cpu']}; {facts['system']}",
            f"software   {versions}",
            f"threads    {', '.join(map(str, threads))} (of NumPy's BLAS and of torch alike)",
            "BLAS       by case: 'Haswell' sets OPENBLAS_CORETYPE, 'own' leaves it; kernels are what OpenBLAS answers",
            "malloc     by line: plain, warm block (what importing minigrad does), kept (mallopt; mg.memory.keep)",
            f"method     {method}",
            "ratio      to PyTorch eager (plain malloc) in the same round, median [p10-p90]; lower is faster",
        )
    )


def block_lines(block: Block) -> list[str]:
    """One case: a heading, a line a peer, a line a target."""
    threads = f"{block.threads} thread{'s' if block.threads > 1 else ''}"
    heading = f"  {block.device}, {threads}, {block.blas} BLAS ({kernels(block)})"
    lines = ["", f"{block.case.name}: {block.case.about}", heading]
    reference = next(iter(block.columns.values()))
    for column in block.columns.values():
        if column.error and not column.seconds:
            lines.append(f"  {column.peer:<20} {column.error}")
            continue
        middle, low, high = column.ratios(reference) or (float("nan"),) * 3
        peak = f"{column.peak_mib:5.0f} MiB" if column.peak_mib else ""
        noisy = f"  {column.disturbed} disturbed" if column.disturbed else ""
        lines.append(
            f"  {column.peer:<20} {seconds(spread(column.seconds)[0])}  {middle:6.2f} [{low:.2f}-{high:.2f}]"
            f"  {peak}  {column.memory}{noisy}{launched(column)}{'  ' + column.error if column.error else ''}"
        )
    return lines + [f"  {text}" for text, _ in verdicts(block)]


def launched(column: Column) -> str:
    """What a step launches on a GPU, where it was counted."""
    counts = column.launches or {}
    return "".join(f"  {count:.0f} {what.replace('_', ' ')}" for what, count in counts.items() if count)


def kernels(block: Block) -> str:
    """The kernels that OpenBLAS answered with in this block."""
    return next((c.blas for c in block.columns.values() if c.blas.startswith("OpenBLAS")), "kernels unknown")


def verdicts(block: Block) -> list[tuple[str, bool]]:
    """Each target of this block, in words and as reached or not; none where there are no figures."""
    results = []
    for target in block.case.targets if block.device == "numpy" else ():  # the figures are those of a processor
        if block.threads in target.threads and block.blas in target.blas:
            ratio = ratio_of(block, target)
            if ratio is not None:
                ok = ratio <= target.limit
                text = f"target: {target.peer} at most {target.limit:g}x {target.against}: {ratio:.2f}"
                if target.wide and kernels(block).endswith(("Haswell", "Zen")):
                    results.append((f"{text} not judged: for AVX-512 kernels, which are not chosen here", True))
                    continue
                results.append((f"{text} {'reached' if ok else 'MISSED'}", ok))
    column = block.columns.get("minigrad, kept")
    if block.device == "numpy" and block.case.peak and column and column.peak_mib:
        ok = column.peak_mib <= block.case.peak
        text = f"target: resident at most {block.case.peak:g} MiB: {column.peak_mib:.0f}"
        results.append((f"{text} {'reached' if ok else 'MISSED'}", ok))
    return results


def ratio_of(block: Block, target: Target) -> float | None:
    """The median ratio that a target speaks of."""
    column, against = block.columns.get(target.peer), block.columns.get(target.against)
    found = column.ratios(against) if column and against else None
    return found[0] if found else None


def startup_lines(times: dict[str, list[float]]) -> list[str]:
    """The import times."""
    lines = ["", "import: wall time beyond the bare interpreter"]
    for module, values in times.items():
        if values:
            middle, low, high = spread(values)
            lines.append(f"  {module:<20} {seconds(middle)}  [{low * 1e3:.0f}-{high * 1e3:.0f} ms]")
        else:
            lines.append(f"  {module:<20} not importable")
    if times.get("minigrad"):
        middle = spread(times["minigrad"])[0]
        word = "reached" if middle <= IMPORT_LIMIT else "MISSED"
        own = f", {1e3 * (middle - spread(times['numpy'])[0]):+.0f} beyond NumPy" if times.get("numpy") else ""
        lines.append(f"  target: minigrad at most {IMPORT_LIMIT * 1e3:.0f} ms: {middle * 1e3:.0f}{own} {word}")
    return lines


def document(
    facts: dict[str, str], blocks: list[Block], times: dict[str, list[float]], calls: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Everything measured, round by round."""
    return {
        "machine": facts,
        "blocks": [
            {
                "case": block.case.name,
                "device": block.device,
                "threads": block.threads,
                "blas": block.blas,
                "columns": [column_document(c, next(iter(block.columns.values()))) for c in block.columns.values()],
                "targets": [{"text": text, "reached": ok} for text, ok in verdicts(block)],
            }
            for block in blocks
        ],
        "ops": [*calls],
        "import_seconds": times,
    }


def column_document(column: Column, reference: Column) -> dict[str, Any]:
    """One peer's line."""
    return {
        "peer": column.peer,
        "malloc": column.memory,
        "kernels": column.blas,
        "seconds": column.seconds,
        "ratio_p50_p10_p90": column.ratios(reference),
        "peak_mib": column.peak_mib,
        "disturbed_rounds": column.disturbed,
        "launches": column.launches,
        "error": column.error,
    }


def changes(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """A line for each of minigrad's ratios that moved by over 10 % since an earlier run; says so when none did."""
    before, lines = ratios(old), ["", "changes of minigrad's ratios by over 10 %"]
    for key, ratio in ratios(new).items():
        if key in before and not 0.9 <= ratio / before[key] <= 1.1:
            lines.append(f"  {key}: {before[key]:.2f} -> {ratio:.2f} ({ratio / before[key] - 1:+.0%})")
    return lines if len(lines) > 2 else [*lines, "  none"]


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """The median ratios of minigrad's columns in a document, by case, threads, BLAS and column."""
    calls = {
        f"{row['op']}, {row['dtype']}, axis {row['axis']}": row["ratio_p50_p10_p90"]["minigrad"][0]
        for row in found.get("ops", ())
        if row["ratio_p50_p10_p90"]
    }
    return calls | {
        ", ".join(
            (block["case"], f"{block['threads']} thr", block["blas"], column["peer"], block.get("device", "numpy"))
        ): column["ratio_p50_p10_p90"][0]
        for block in found["blocks"]
        for column in block["columns"]
        if column["peer"].startswith("minigrad") and column["ratio_p50_p10_p90"]
    }
