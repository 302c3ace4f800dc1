"""What a check returns, and what it raises."""

from __future__ import annotations

from dataclasses import dataclass


class CheckError(AssertionError):
    """A gradient is wrong. `report` holds what was compared."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, slots=True)
class Report:
    """What was compared, how often, and how far apart the two sides were: `error` is the worst of
    |a - b| / (atol + rtol * size), so that 1 is the most that passes.
    """

    what: str
    compared: int
    error: float
    rtol: float

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.compared} comparisons, worst at {self.error:.2g} of what is allowed "
            f"(rtol={self.rtol:g})"
        )
