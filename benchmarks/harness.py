"""Runs the peers of one case side by side: a process each, and rounds in which every one of them has its turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from types import TracebackType
from typing import Any, Self

from benchmarks.case import Case
from benchmarks.machine import busy_seconds

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = 0.12
"""Cores that others may use during a turn before it is taken again."""


@dataclass
class Method:
    """How long and how often: rounds, seconds a turn, and how often a disturbed turn is taken again."""

    rounds: int = 7
    seconds: float = 0.25
    patience: int = 3
    peers: tuple[str, ...] = ()
    """Beginnings of the columns to run; empty for all. The reference always runs."""
    device: str = "numpy"
    """Where the arrays live; "cupy" puts torch on the GPU too."""

    def wants(self, peer: str) -> bool:
        """Whether this column is asked for; the allocator of the host is nothing to a device."""
        if self.device != "numpy" and peer.endswith(", kept"):
            return False
        return not self.peers or peer == "torch" or peer.startswith(self.peers)


@dataclass
class Column:
    """One peer's figures in one case: seconds per unit in each round, and what its process said of itself."""

    peer: str
    memory: str
    blas: str
    seconds: list[float] = field(default_factory=list)
    disturbed: int = 0
    peak_mib: float | None = None
    launches: dict[str, float] | None = None
    """Kernels and copies of one step on a GPU."""
    error: str = ""

    def ratios(self, against: Column) -> tuple[float, float, float] | None:
        """Median, 10th and 90th percentile of the ratios taken round by round; None if either has no figures."""
        pairs = [a / b for a, b in zip(self.seconds, against.seconds, strict=False)]
        return spread(pairs) if pairs else None


@dataclass
class Block:
    """One case at one number of threads and one choice of BLAS kernels."""

    case: Case
    threads: int
    blas: str
    device: str
    columns: dict[str, Column] = field(default_factory=dict)


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, 10th and 90th percentile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    tenths = quantiles(values, n=10, method="inclusive")
    return median(values), tenths[0], tenths[-1]


def environment(threads: int, blas: str) -> dict[str, str]:
    """The surroundings of a worker: the thread pools of every BLAS, and OpenBLAS's kernels unless it chooses itself."""
    env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    if blas != "own":
        env["OPENBLAS_CORETYPE"] = blas
    return env | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))


class Worker:
    """The process of one peer, used as a context manager."""

    def __init__(self, case: Case, peer: str, threads: int, blas: str, device: str) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", case.name, peer, str(threads), device]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(threads, blas),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.process.communicate(timeout=60)  # the end of its input is its sign to end
        else:
            self.process.kill()
            self.process.wait()

    def read(self) -> dict[str, Any]:
        """The next answer; if the process ended instead, the last line of what it said."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read().strip().splitlines()
            raise RuntimeError(said[-1] if said else "the process ended without a word")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.read()

    def turn(self, seconds: float) -> dict[str, Any]:
        """Let the peer run for about so long; adds `foreign`, the cores that other processes used meanwhile."""
        time.sleep(0.05)  # idle threads of the previous peer spin for a moment before they sleep
        before = busy_seconds()
        answer = self.ask({"seconds": seconds})
        after = busy_seconds()
        if before is None or after is None:
            return answer | {"foreign": 0.0}
        return answer | {"foreign": max(0.0, after - before - answer["busy"]) / answer["elapsed"]}


def measure(case: Case, threads: int, blas: str, method: Method, log: Any) -> Block:
    """All peers of a case. A peer that cannot run (not installed, an error) keeps its line and says why."""
    block = Block(case, threads, blas, method.device)
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        digests: dict[str, float] = {}
        for peer in filter(method.wants, case.peers()):
            worker = stack.enter_context(Worker(case, peer, threads, blas, method.device))
            try:
                first = worker.read()
            except RuntimeError as error:
                block.columns[peer] = Column(peer, "", "", error=str(error))
                continue
            block.columns[peer], workers[peer] = Column(peer, first["memory"], first["blas"]), worker
            digests[peer] = first["digest"]
        for turn in range(method.rounds):
            log(f"{case.name}, {threads} threads, {blas} BLAS: round {turn + 1} of {method.rounds}")
            for peer, worker in workers.items():
                take(worker, block.columns[peer], case.per, method)
        for peer, worker in workers.items():
            if method.device.startswith("cupy"):
                block.columns[peer].launches = worker.ask({"launches": True})["launches"]
    compare(block, digests)
    return block


def take(worker: Worker, column: Column, per: int, method: Method) -> None:
    """One turn; a disturbed one is taken again, and of several disturbed ones the least disturbed counts."""
    answers = []
    for _ in range(1 + method.patience):
        answers.append(worker.turn(method.seconds))
        if answers[-1]["foreign"] <= FOREIGN:
            break
    best = min(answers, key=lambda answer: float(answer["foreign"]))
    column.disturbed += best["foreign"] > FOREIGN
    column.seconds.append(best["seconds"] / per)
    column.peak_mib = best["peak_mib"]


def compare(block: Block, digests: dict[str, float]) -> None:
    """A peer that computes something else is no peer: say so in its line."""
    reference = digests.get("torch")
    for peer, value in digests.items():
        if value != value or value in (float("inf"), float("-inf")):
            block.columns[peer].error = f"returned {value}"
        elif block.case.exact and reference is not None and abs(value - reference) > 1e-3 * abs(reference):
            block.columns[peer].error = f"returned {value:.6g} where torch returned {reference:.6g}"


def startup(modules: tuple[str, ...], method: Method) -> dict[str, list[float]]:
    """Seconds that `import module` adds to the bare interpreter, each round visiting every module in turn."""
    times: dict[str, list[float]] = {module: [] for module in modules}
    present = [module for module in modules if launch(f"import {module}", 0) is not None]  # this fills the file cache
    for _ in range(method.rounds):
        bare = launch("pass", method.patience)
        for module in present:
            spent = launch(f"import {module}", method.patience)
            if spent is not None and bare is not None:
                times[module].append(spent - bare)
    return times


def launch(code: str, patience: int) -> float | None:
    """Wall seconds of one interpreter, the least disturbed of a few; None when the code fails.

    It may keep bytecode, as an installed package does.
    """
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    turns = []
    for _ in range(1 + patience):
        machine, own, start = busy_seconds() or 0.0, children_seconds(), time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, check=False)
        if done.returncode:
            return None
        elapsed = time.perf_counter() - start
        foreign = (busy_seconds() or 0.0) - machine - (children_seconds() - own)
        turns.append((foreign, elapsed))
        if foreign <= FOREIGN * elapsed + 0.02:  # the system counts in hundredths of a second
            break
    return min(turns)[1]


def children_seconds() -> float:
    """Processor seconds of the processes that this one started and that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system
