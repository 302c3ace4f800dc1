"""What a check returns, and what it raises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


class CheckError(AssertionError):
    """A gradient, or another promise, does not hold. `report` holds what was compared."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report: what was looked at, on which sample, in which mode, and how it came out."""

    check: str
    sample: str
    where: str
    passed: bool
    detail: str


def lines(findings: Sequence[Finding]) -> str:
    """Findings as text: the samples as headings, one line where several modes came out alike."""
    told: list[str] = []
    for sample, rows in groupby(findings, key=lambda f: f.sample):
        told.append(f"  {sample}")
        for (check, passed, detail), same in groupby(rows, key=lambda f: (f.check, f.passed, f.detail)):
            where = ", ".join(f.where for f in same)
            shown = detail.replace("\n", "\n" + " " * 12)
            told.append(f"    {'ok' if passed else 'FAILED':<7} {check:<11} {where:<29} {shown}".rstrip())
    return "\n".join(told)


@dataclass(frozen=True, slots=True)
class Report:
    """What was compared, how often, and how far apart the two sides were: `error` is the worst of
    |a - b| / (atol + rtol * size), so that 1 is the most that passes. `findings` are the single checks of a layer.
    """

    what: str
    compared: int
    error: float
    rtol: float
    findings: tuple[Finding, ...] = ()

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that did not pass."""
        return tuple(f for f in self.findings if not f.passed)

    def __str__(self) -> str:
        if self.findings:
            n = len(self.findings)
            return f"{self.what}: {n - len(self.failed)} of {n} checks hold\n{lines(self.findings)}"
        return (
            f"{self.what}: {self.compared} comparisons, worst at {self.error:.2g} of what is allowed "
            f"(rtol={self.rtol:g})"
        )
