"""What a check returns, and what it raises."""

from __future__ import annotations

from dataclasses import dataclass


class CheckError(AssertionError):
    """A gradient, or another promise, does not hold. `report` holds what was compared."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report: what was looked at, where, and how it came out."""

    check: str
    where: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        detail = self.detail.replace("\n", "\n    ")
        return f"{'ok' if self.passed else 'FAILED':<7} {self.check:<12} {self.where:<14} {detail}".rstrip()


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
            return "\n".join([f"{self.what}: {n - len(self.failed)} of {n} checks hold", *map(str, self.findings)])
        return (
            f"{self.what}: {self.compared} comparisons, worst at {self.error:.2g} of what is allowed "
            f"(rtol={self.rtol:g})"
        )
