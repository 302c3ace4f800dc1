"""What commands share in what they say: exit codes, JSON, tables."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import Any

FAILED, WRONGLY_CALLED, INTERRUPTED = 1, 2, 130


def print_json(rows: list[dict[str, Any]]) -> None:
    """What a listing is with --json."""
    print(json.dumps(rows, indent=2, ensure_ascii=False))


def print_table(rows: list[tuple[str, ...]], wrap: bool = False) -> None:
    """Columns as wide as they need; the last is cut at the edge of a terminal, or goes on below itself."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)]
    edge = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in rows:
        line = "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        if edge is None or len(line) <= edge:
            print(line)
        elif wrap:
            indent = sum(width + 2 for width in widths)
            rest = textwrap.wrap(row[-1], max(edge - indent, 20), break_on_hyphens=False)
            print(line[:indent] + f"\n{' ' * indent}".join(rest))
        else:
            print(line[: edge - 1] + "…")
