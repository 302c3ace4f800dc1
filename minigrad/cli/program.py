"""The program: which command was called, what became of it, and the exit code.

0 it worked, 1 it failed, 2 it was called wrongly, 130 Ctrl-C. Called wrongly is what can be seen before any work is
done, a folder that is missing included. A user's mistake gives one message on the standard error output and no
traceback; a fault of minigrad's own gives its traceback. Results go to standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from minigrad.cli import doctor, draw, layers, train
from minigrad.cli.arguments import Parser
from minigrad.cli.output import FAILED, INTERRUPTED, WRONGLY_CALLED
from minigrad.doctor import DISTRIBUTION
from minigrad.errors import ArgumentError, DeviceError, MinigradError

__all__ = ["main"]

COMMANDS = (train, draw, layers, doctor)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with `argv` (by default the process's own) and return its exit code.

    Example:
        >>> from minigrad.cli import main
        >>> main(["layers"])  # doctest: +ELLIPSIS
        NAME ...
        0
    """
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
        code: int = arguments.command(arguments)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse has said what was wrong
        return int(stop.code or 0)
    except (ArgumentError, DeviceError) as problem:
        return _complain(problem, WRONGLY_CALLED)
    except MinigradError as problem:
        return _complain(problem, FAILED)
    except BrokenPipeError:  # the reader has seen enough: `minigrad layers | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as problem:
        return _complain(problem, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _complain(problem: Exception, code: int) -> int:
    print(f"minigrad: {problem}", file=sys.stderr)
    return code


def _parser() -> Parser:
    parser = Parser(prog="minigrad", description="Every gradient from one rule, and you can watch it happen.")
    parser.add_argument("--version", action="version", version=f"minigrad {version(DISTRIBUTION)}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser
