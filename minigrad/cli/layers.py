"""`minigrad layers`: what layers are installed, and where they come from."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from minigrad.cli.output import FAILED, print_json, print_table
from minigrad.doctor import NO_LAYERS


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "layers",
        help="list the layers that are installed",
        description="List every layer that is installed, the standard ones and those of plugins, with its origin.",
        epilog="examples:\n  minigrad layers\n  minigrad layers --json",
    )
    parser.add_argument("--json", action="store_true", help="as a JSON list of objects")
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from minigrad.module import layers

    rows = [info._asdict() for _, info in sorted(layers().items())]
    if arguments.json:
        print_json(rows)
    elif rows:
        print_table([("NAME", "FAMILY", "ORIGIN", "SUMMARY"), *(tuple(map(str, row.values())) for row in rows)])
    if not rows:
        print(f"minigrad: {NO_LAYERS}", file=sys.stderr)
    return 0 if rows else FAILED
