"""The programs that are timed, one file a subject."""

from __future__ import annotations

from benchmarks.cases import batchnorm, chain, digits, dropout, optimiser, wine

CASES = {case.name: case for module in (chain, wine, batchnorm, dropout, optimiser, digits) for case in module.CASES}
