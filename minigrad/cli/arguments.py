"""What commands share in reading their arguments: the parser, and kinds of argument that say what they want."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from minigrad import backend
from minigrad.errors import DeviceError, MinigradError


class Parser(argparse.ArgumentParser):
    """argparse's, with the examples below the help as written, and no abbreviations that a new flag would break."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(*args, **kwargs)


def count(text: str) -> int:
    """A whole number, 1 or more."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 1 or more")
    return int(text)


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0, such as 0.003")
    return value


def seed(text: str) -> int:
    """What a random generator begins with."""
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 64:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0 to 2**64 - 1")
    return int(text)


def shape(text: str) -> tuple[int, ...]:
    """The sizes of an array, 4x3."""
    sizes = text.split("x")
    if not all(size.isascii() and size.isdigit() for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} must be sizes with x between them, such as 4x3")
    return tuple(map(int, sizes))


def new_file(text: str) -> Path:
    """A file to be written, into a folder that is there."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: there is no folder {str(path.parent)!r}; make it first")
    return path


def new_folder(text: str) -> Path:
    """A folder to be made, where no file stands in the way."""
    path = Path(text)
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: {str(there)!r} is a file, not a folder")
    return path


def device(name: str) -> str:
    """The device that the flag --device names, as the rest of minigrad calls it; it must be here."""
    try:
        return backend.parse_device(name)
    except MinigradError as problem:
        there = ", ".join(known for known, reason in backend.available().items() if not reason)
        raise DeviceError(f"--device {name}: {problem} (available here: {there})") from problem
