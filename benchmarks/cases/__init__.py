"""The programs that are timed, one file a subject."""

from __future__ import annotations

from benchmarks.cases import batchnorm, chain, digits, dropout, wine

CASES = {case.name: case for module in (chain, wine, batchnorm, dropout, digits) for case in module.CASES}
