"""The command line: `minigrad train digits`, `minigrad layers`, `minigrad draw`, `minigrad doctor`.

Exit codes: 0 it worked, 1 it failed, 2 it was called wrongly, 130 Ctrl-C. A user's mistake gives one message on the
standard error output and no traceback; a fault of minigrad's own gives its traceback. Results go to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import backend
from minigrad.core import tensor
from minigrad.doctor import NO_LAYERS, examined
from minigrad.errors import (
    ArgumentError,
    CheckpointError,
    DeviceError,
    MinigradError,
    UnknownLayerError,
)

__all__ = ["main"]

FAILED, WRONGLY_CALLED, INTERRUPTED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    """argparse's, with the examples below the help as written, and no abbreviations that a new flag would break."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(*args, **kwargs)


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


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="minigrad", description="Every gradient from one rule, and you can watch it happen.")
    parser.add_argument("--version", action="version", version=f"minigrad {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_train, _add_draw, _add_layers, _add_doctor):
        add(commands)
    return parser


def _version() -> str:
    return version("minigrad")


# ---- train


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a small network on data that needs no download",
        description="Train a convolutional network with batch norm and dropout on the 1,797 digits of scikit-learn.\n"
        "Writes weights.safetensors, history.jsonl, curves.png and graph.svg into the folder --out.",
        epilog="examples:\n"
        "  minigrad train digits\n"
        "  minigrad train digits --epochs 5 --seed 1 --out runs/short\n"
        "  minigrad train digits --resume            go on after Ctrl-C, as if nothing had happened\n"
        "  minigrad train digits --device cupy       on a GPU; fakecupy plays one",
    )
    parser.add_argument("task", choices=["digits"], help="what to train on")
    parser.add_argument("--device", default="numpy", help="numpy, cupy, cupy:1, fakecupy (default: numpy)")
    parser.add_argument("--epochs", type=_at_least_one, metavar="N", help="passes over the data (default: 15)")
    parser.add_argument("--batch-size", type=_at_least_one, metavar="N", help="samples in a step (default: 64)")
    parser.add_argument(
        "--lr", type=float, metavar="RATE", help="Adam's learning rate at the beginning (default: 0.003)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of weights, dropout and order of the data (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("runs/digits"), metavar="FOLDER", help="default: runs/digits")
    parser.add_argument("--resume", action="store_true", help="go on from FOLDER/weights.safetensors")
    parser.add_argument("--quiet", action="store_true", help="write nothing but the result")
    parser.set_defaults(command=_train)


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 1 or more")
    return int(text)


def _train(arguments: argparse.Namespace) -> int:
    from minigrad.tasks.digits import Settings, train_digits
    from minigrad.training import Interrupted

    device = _device(arguments.device)
    given = {name: getattr(arguments, name) for name in Settings._fields if getattr(arguments, name) is not None}
    weights = arguments.out / "weights.safetensors"
    settings = _resumed(weights, given) if arguments.resume else Settings(**given)
    try:
        history, missing = train_digits(
            arguments.out, settings, device=device, resume=arguments.resume, verbose=0 if arguments.quiet else 1
        )
    except Interrupted as stop:
        again = [*_program(), "train", arguments.task, "--resume"]
        again += ["--out", str(arguments.out)] if arguments.out != Path("runs/digits") else []
        again += ["--device", arguments.device] if arguments.device != "numpy" else []
        print(
            f"{str(stop).removeprefix('fit: ')}; saved in {weights}. To go on:\n  {shlex.join(again)}", file=sys.stderr
        )
        return INTERRUPTED
    last = history.records[-1]
    seconds = sum(record["seconds"] for record in history.records)
    reached = f"{100 * last['val_accuracy']:.1f} % validation accuracy"
    print(f"{reached} after {last['epoch']} epochs, {seconds:.1f} s of training")
    made = [name for name in ("weights.safetensors", "history.jsonl", "curves.png", "graph.svg")
            if not any(str(arguments.out / name) in reason for reason in missing)]  # fmt: skip
    print(f"{arguments.out}{os.sep}: {', '.join(made)}")
    for reason in missing:
        print(f"minigrad: {reason}", file=sys.stderr)
    return 0


def _device(name: str) -> str:
    try:
        return backend.parse_device(name)
    except MinigradError as problem:
        there = ", ".join(known for known, reason in backend.available().items() if not reason)
        raise DeviceError(f"--device {name}: {problem} (available here: {there})") from problem


def _resumed(weights: Path, given: dict[str, Any]) -> Any:
    """The settings of the run to resume; ArgumentError for a flag that would make it another run."""
    from minigrad.saving import load
    from minigrad.tasks.digits import Settings

    if not weights.exists():
        raise ArgumentError(
            f"--resume: there is no {weights}; begin with the same command without --resume, or name --out"
        )
    try:
        settings = Settings(**load(weights)["extra"])
    except (KeyError, TypeError) as problem:
        raise CheckpointError(f"--resume: {weights} was not written by `minigrad train digits`") from problem
    for name, value in given.items():
        if name != "epochs" and value != getattr(settings, name):
            flag = name.replace("_", "-")
            raise ArgumentError(
                f"--{flag} {value}: the run to resume has {getattr(settings, name)}; leave --{flag} out, "
                "or begin anew without --resume"
            )
    return settings._replace(**given)


def _program() -> list[str]:
    """How this program was called, as it can be typed again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-m", "minigrad"]
    found = shutil.which("minigrad")
    return ["minigrad"] if found and Path(found).resolve() == called.resolve() else [sys.argv[0]]


# ---- draw


def _add_draw(commands: Any) -> None:
    parser = commands.add_parser(
        "draw",
        help="draw the computation graph of a layer",
        description="Run a layer forward and backward on random numbers, and draw what it computes.",
        epilog="examples:\n"
        "  minigrad draw BatchNorm1d 3 --shape 4x3                      the layer, opened into primitives\n"
        "  minigrad draw BatchNorm1d 3 --shape 4x3 --passes both -o bn.png\n"
        "  minigrad draw Conv2d 1 8 3 padding=1 --shape 2x1x8x8 -o conv.dot",
    )
    parser.add_argument("layer", help="a name that `minigrad layers` lists")
    parser.add_argument("arguments", nargs="*", help="of its constructor: 64, true, eps=1e-3, …")
    parser.add_argument("--shape", required=True, type=_shape, help="of the input, such as 4x3")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help=".svg .png .pdf .dot .json (default: LAYER.svg)")
    parser.add_argument("--depth", type=int, default=3, help="0 one box, 1 a box a layer, more opens (default: 3)")
    parser.add_argument("--passes", choices=["forward", "backward", "both"], default="forward")
    parser.add_argument("--direction", choices=["TB", "LR"], default="TB")
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.set_defaults(command=_draw)


def _shape(text: str) -> tuple[int, ...]:
    sizes = text.split("x")
    if not all(size.isdigit() for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} must be sizes with x between them, such as 4x3")
    return tuple(map(int, sizes))


def _draw(arguments: argparse.Namespace) -> int:
    from minigrad.graph import trace

    layer = _constructed(arguments.layer, arguments.arguments)
    rng = np.random.default_rng(0)  # not minigrad's: drawn in the trace, its steps would be in the picture
    x = tensor(rng.standard_normal(arguments.shape), dtype="float32", requires_grad=True, name="x")
    with trace(layer) as graph:
        try:
            y = layer(x)
        except MinigradError as problem:
            raise ArgumentError(f"--shape {'x'.join(map(str, arguments.shape))}: {problem}") from problem
        y.named("y").backward(rng.standard_normal(y.shape))
    out = arguments.out or Path(f"{arguments.layer}.svg")
    graph.save(
        out, depth=arguments.depth, passes=arguments.passes, direction=arguments.direction, theme=arguments.theme
    )
    print(f"{out}: {layer!r}, {len(graph.nodes)} nodes")
    return 0


def _constructed(name: str, words: Sequence[str]) -> Any:
    """The layer `name`, made with arguments as they are written on a command line."""
    from minigrad.module import layer, layers

    try:
        values = [word.split("=", 1) if "=" in word else [word] for word in words]
        args = [_value(value[0]) for value in values if len(value) == 1]
        return layer(name, *args, **{value[0]: _value(value[1]) for value in values if len(value) == 2})
    except UnknownLayerError as problem:
        raise ArgumentError(NO_LAYERS if not layers() else str(problem)) from problem
    except (TypeError, ValueError) as problem:
        raise ArgumentError(f"{name}({', '.join(words)}): {problem}") from problem


def _value(text: str) -> Any:
    """A number, true, false, null or a list, as in JSON; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


# ---- layers


def _add_layers(commands: Any) -> None:
    parser = commands.add_parser(
        "layers",
        help="list the layers that are installed",
        description="List every layer that is installed, the standard ones and those of plugins, with its origin.",
        epilog="examples:\n  minigrad layers\n  minigrad layers --json",
    )
    parser.add_argument("--json", action="store_true", help="as a JSON list of objects")
    parser.set_defaults(command=_layers)


def _layers(arguments: argparse.Namespace) -> int:
    from minigrad.module import layers

    rows = [info._asdict() for _, info in sorted(layers().items())]
    if arguments.json:
        _print_json(rows)
    elif rows:
        _print_table([("NAME", "FAMILY", "ORIGIN", "SUMMARY"), *(tuple(map(str, row.values())) for row in rows)])
    if not rows:
        print(f"minigrad: {NO_LAYERS}", file=sys.stderr)
    return 0 if rows else FAILED


# ---- doctor


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor",
        help="say what is installed, what is missing, and what to do",
        description="Look at what minigrad stands on. Exit code 1 if something that every use needs is missing, "
        "or a plugin is broken.",
        epilog="examples:\n  minigrad doctor\n  minigrad doctor --json",
    )
    parser.add_argument("--json", action="store_true", help="as a JSON list of objects")
    parser.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    rows = list(examined())
    if arguments.json:
        _print_json([dict(zip(("what", "state", "detail"), row, strict=True)) for row in rows])
    else:
        _print_table([("WHAT", "STATE", "DETAIL"), *rows], wrap=True)  # how to get what is missing comes last in a row
    return FAILED if any(state == "broken" for _, state, _ in rows) else 0


# ---- output


def _print_json(rows: list[dict[str, Any]]) -> None:
    print(json.dumps(rows, indent=2, ensure_ascii=False))


def _print_table(rows: list[tuple[str, ...]], wrap: bool = False) -> None:
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
