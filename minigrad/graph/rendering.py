"""`render`: DOT text to a picture, by an engine that runs with a list of arguments, a time limit and no shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from minigrad.errors import RenderError

PURE_FORMATS = frozenset({"svg", "png"})
INSTALL = (
    "install Graphviz so that `dot` is on the PATH (apt install graphviz, brew install graphviz), "
    "or its stand-in for svg and png: pip install graphviz-pure"
)


LARGE = 200_000  # characters of DOT, from which on a png has fewer dots: painting it takes longer than laying it out


class Engine(NamedTuple):
    """A program that lays graphs out; `pure` for the graphviz-pure wheel, which writes no pdf."""

    path: str
    pure: bool


def find_engine(format: str = "svg") -> Engine:
    """The system's `dot` when there is one, else `graphviz-pure`; RenderError says what to install."""
    dot = shutil.which("dot")
    if dot is not None:
        return Engine(dot, False)
    pure = shutil.which("graphviz-pure") or beside_python("graphviz-pure")
    if pure is None:
        raise RenderError(
            f"no Graphviz engine was found: {INSTALL}. The DOT text is there without one: graph.dot().source"
        )
    if format not in PURE_FORMATS:
        raise RenderError(
            f"format: {format!r} needs the system's `dot` (apt install graphviz, brew install graphviz); "
            f"graphviz-pure, which is what was found, writes {', '.join(sorted(PURE_FORMATS))}"
        )
    return Engine(pure, True)


def beside_python(name: str) -> str | None:
    """A program that pip installed for this interpreter: a virtual environment need not be activated to be found."""
    folders = (sysconfig.get_path("scripts"), str(Path(sys.executable).parent))
    return shutil.which(name, path=os.pathsep.join(folders))


def render(source: str, format: str, timeout: float = 60) -> bytes:
    """The picture of DOT text.

    Args:
        source: DOT text.
        format: "svg", "png", or what the system's `dot` writes besides, such as "pdf".
        timeout: seconds after which the engine is stopped.

    Raises:
        RenderError: no engine, or one that failed or took too long; the message says what to install, what the engine
            said, or what to change.

    Example:
        >>> import minigrad as mg
        >>> from minigrad.graph import render
        >>> render("digraph { a -> b }", "svg")[:5]
        b'<?xml'
    """
    engine = find_engine(format)
    dpi = 144 if len(source) < LARGE else 72
    command = [engine.path, f"-T{format}", *([f"-Gdpi={dpi}"] if format == "png" else [])]
    name = Path(engine.path).name
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise RenderError(
            f"{name} took more than timeout={timeout:g} s for {len(source)} characters of DOT and was stopped; "
            "draw less with a smaller depth=, allow more time, or write the DOT text with graph.save('graph.dot')"
            f"{'; a large svg is made much sooner than a png' if format == 'png' else ''}"
        ) from None
    except OSError as error:
        raise RenderError(f"{engine.path} could not be run ({error}); {INSTALL}") from error
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode(errors="replace").strip()[-1000:]
        raise RenderError(
            f"{name} failed with exit code {done.returncode} on the DOT text: {said or 'it said nothing'}"
        )
    return done.stdout
