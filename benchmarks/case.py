"""What one row of the table is: a program, written once for each peer, and the ratios that it must reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Step = Callable[[], object]
"""One run of the program. What it returns (a gradient, a loss) is compared between peers, outside the clock."""

Build = Callable[[], Step]
"""Makes the data and the model of one peer in a fresh process and returns its step."""


@dataclass(frozen=True)
class Target:
    """The most time that `peer` may take, as a multiple of `against`'s in the same run."""

    limit: float
    against: str = "torch"
    threads: tuple[int, ...] = (1, 2)
    blas: tuple[str, ...] = ("Haswell", "own")
    wide: bool = False
    """The figure supposes that OpenBLAS has AVX-512 kernels; where its own choice is Haswell it is not judged."""
    peer: str = "minigrad, kept"


@dataclass(frozen=True)
class Case:
    """A program and its peers.

    `builds` names each peer's build. A peer also runs a second time with the allocator told to keep freed memory
    (its name gets ", kept") when it is in `kept`. `per` divides the time (operations in a step), `exact` says that
    all peers must return the same numbers, `peak` bounds the resident memory of minigrad's process in MiB.
    """

    name: str
    about: str
    builds: Mapping[str, Build]
    kept: tuple[str, ...] = ("torch", "minigrad")
    per: int = 1
    exact: bool = True
    blas: tuple[str, ...] = ("own",)
    targets: tuple[Target, ...] = ()
    peak: float | None = None

    def peers(self) -> tuple[str, ...]:
        """The columns, the reference first: `("torch", "torch, kept", "minigrad", ...)`."""
        names = ((peer, f"{peer}, kept") if peer in self.kept else (peer,) for peer in self.builds)
        return tuple(name for pair in names for name in pair)
