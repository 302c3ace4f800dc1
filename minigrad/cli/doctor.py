"""`minigrad doctor`: what minigrad stands on, and what is missing of it."""

from __future__ import annotations

import argparse
from typing import Any

from minigrad.cli.output import FAILED, print_json, print_table
from minigrad.doctor import examined


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "doctor",
        help="say what is installed, what is missing, and what to do",
        description="Look at what minigrad stands on. Exit code 1 if something that every use needs is missing, "
        "or a plugin is broken.",
        epilog="examples:\n  minigrad doctor\n  minigrad doctor --json",
    )
    parser.add_argument("--json", action="store_true", help="as a JSON list of objects")
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    rows = list(examined())
    if arguments.json:
        print_json([dict(zip(("what", "state", "detail"), row, strict=True)) for row in rows])
    else:
        print_table([("WHAT", "STATE", "DETAIL"), *rows], wrap=True)  # how to get what is missing comes last in a row
    return FAILED if any(state == "broken" for _, state, _ in rows) else 0
