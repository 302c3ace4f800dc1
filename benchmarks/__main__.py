"""`python -m benchmarks`: one command, one table (see README.md beside this file)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import ops, report
from benchmarks.cases import CASES
from benchmarks.harness import Method, measure, startup
from benchmarks.machine import describe

IMPORTS = ("minigrad", "numpy", "autograd", "torch")


def numbers(text: str) -> list[int]:
    """A list such as `1,2`."""
    return [int(part) for part in text.split(",")]


def words(text: str) -> tuple[str, ...]:
    """A list such as `minigrad,autograd`."""
    return tuple(text.split(","))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cli = argparse.ArgumentParser(prog="python -m benchmarks", description="minigrad beside its peers, in one run.")
    names = (*CASES, "ops", "import")
    only = f"one of {', '.join(names)}; may be repeated"
    cli.add_argument("--only", action="append", choices=names, metavar="NAME", help=only)
    cli.add_argument("--threads", type=numbers, default=[1, 2], help="threads of BLAS and torch (default 1,2)")
    cli.add_argument("--peers", type=words, default=(), help="columns by the start of their names (default: all)")
    cli.add_argument("--rounds", type=int, default=7, help="turns of each peer (default 7)")
    cli.add_argument("--seconds", type=float, default=0.25, help="length of a turn (default 0.25)")
    cli.add_argument("--patience", type=int, default=3, help="how often a disturbed turn is taken again (default 3)")
    cli.add_argument(
        "--device", default="numpy", help="where arrays live: numpy, cupy (torch on the GPU too), fakecupy"
    )
    cli.add_argument("--json", type=Path, metavar="FILE", help="write everything measured, round by round")
    cli.add_argument("--against", type=Path, metavar="FILE", help="an earlier --json: name what changed by over 10 %%")
    cli.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    return cli


def log(text: str) -> None:
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for, print as it comes, and answer with the exit code."""
    options = parser().parse_args(arguments)
    method = Method(options.rounds, options.seconds, options.patience, options.peers, options.device)
    facts = describe(options.device)
    how = f"a process a peer, {method.rounds} rounds of {method.seconds:g} s each, disturbed turns taken again"
    show([report.header(facts, options.threads, how)])
    blocks = []
    for name in options.only or [*CASES]:
        for threads in options.threads if name in CASES else ():
            for blas in CASES[name].blas if method.device == "numpy" else ("own",):
                blocks.append(measure(CASES[name], threads, blas, method, log))
                show(report.block_lines(blocks[-1]))
                if options.json:  # so that a run which is cut off has not been in vain
                    options.json.write_text(json.dumps(report.document(facts, blocks, {}), indent=1) + "\n")
    times = startup(IMPORTS, method) if not options.only or "import" in options.only else {}
    if times:
        show(report.startup_lines(times))
    wanted = method.device == "numpy" and (not options.only or "ops" in options.only)
    calls = ops.run(method, log) if wanted else []
    if calls:
        show(ops.lines(calls))
    found = report.document(facts, blocks, times, calls)
    if options.against:
        show(report.changes(found, json.loads(options.against.read_text())))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    missed = any(not ok for block in blocks for _, ok in report.verdicts(block)) or not ops.verdict(calls)[1]
    return 1 if options.strict and missed else 0


def show(lines: list[str]) -> None:
    """Print, past the progress line."""
    log("")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
