"""`minigrad train`: a ready task, trained, saved, drawn, and gone on with after Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from minigrad.cli.arguments import count, device, new_folder, positive, seed
from minigrad.cli.output import INTERRUPTED
from minigrad.errors import ArgumentError, CheckpointError


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "train",
        help="train a small network on data that needs no download",
        description="Train a convolutional network with batch norm and dropout on the 1,797 digits of scikit-learn.\n"
        "Writes weights.safetensors, history.jsonl, curves.png, graph.svg and batch_norm.svg into the folder --out.",
        epilog="examples:\n"
        "  minigrad train digits\n"
        "  minigrad train digits --epochs 5 --seed 1 --out runs/short\n"
        "  minigrad train digits --resume            go on after Ctrl-C, as if nothing had happened\n"
        "  minigrad train digits --device cupy       on a GPU; fakecupy plays one",
    )
    parser.add_argument("task", choices=["digits"], help="what to train on")
    parser.add_argument("--device", default="numpy", help="numpy, cupy, cupy:1, fakecupy (default: numpy)")
    parser.add_argument("--epochs", type=count, metavar="N", help="passes over the data (default: 15)")
    parser.add_argument("--batch-size", type=count, metavar="N", help="samples in a step (default: 64)")
    parser.add_argument(
        "--lr", type=positive, metavar="RATE", help="Adam's learning rate at the beginning (default: 0.003)"
    )
    parser.add_argument("--seed", type=seed, metavar="N", help="of weights, dropout and order of the data (default: 0)")
    parser.add_argument(
        "--out", type=new_folder, default=Path("runs/digits"), metavar="FOLDER", help="default: runs/digits"
    )
    parser.add_argument("--resume", action="store_true", help="go on from FOLDER/weights.safetensors")
    parser.add_argument("--quiet", action="store_true", help="write nothing but the result")
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from minigrad.tasks.digits import Settings, train_digits
    from minigrad.training import Interrupted

    where = device(arguments.device)
    given = {name: getattr(arguments, name) for name in Settings._fields if getattr(arguments, name) is not None}
    weights = arguments.out / "weights.safetensors"
    settings = _resumed(weights, given) if arguments.resume else Settings(**given)
    try:
        history, missing = train_digits(
            arguments.out, settings, device=where, resume=arguments.resume, verbose=0 if arguments.quiet else 1
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
    made = [name for name in ("weights.safetensors", "history.jsonl", "curves.png", "graph.svg", "batch_norm.svg")
            if not any(str(arguments.out / name) in reason for reason in missing)]  # fmt: skip
    print(f"{arguments.out}{os.sep}: {', '.join(made)}")
    for reason in missing:
        print(f"minigrad: {reason}", file=sys.stderr)
    return 0


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
