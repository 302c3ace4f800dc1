"""Runs examples in an interpreter of their own: they declare primitives and layers that the tests must not meet.

python tests/examples.py MODULE...     the docstrings of modules; prints {module: [failed, tried, differences]} as JSON
python tests/examples.py PAGE.md       the Python blocks of a page, one after the other, as a reader would type them
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import re
import sys
from importlib import import_module
from pathlib import Path

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def docstrings(name: str) -> tuple[int, int, str]:
    """How many examples of a module failed, how many there are, and what differed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        failed, tried = doctest.testmod(
            import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        )
    return failed, tried, said.getvalue()


def page(path: Path) -> None:
    """Run the blocks in one namespace; line numbers in a traceback are those of the page."""
    text = path.read_text(encoding="utf-8")
    space: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        above = text.count("\n", 0, block.start(1))
        exec(compile("\n" * above + block.group(1), str(path), "exec"), space)


if __name__ == "__main__":
    if sys.argv[1].endswith(".md"):
        page(Path(sys.argv[1]))
    else:
        json.dump({name: docstrings(name) for name in sys.argv[1:]}, sys.stdout)
