"""Reads the repository for test_house.py: its files, the imports in them, the floors they belong to."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

# The floors, lowest first. A file imports from lower floors only; inside an entry with an order, from earlier names
# only; inside a package without one, without a cycle. A new module is entered here.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "notation", "registry", "elsewhere", "answers"),
    ("backend",),
    ("core",),
    ("ops",),
    ("transforms", "linalg", "random", "safe"),
    ("module", "init", "saving", "losses"),
    ("program", "optim", "data"),
    ("graph", "debug"),
    ("check",),
    ("training",),
    ("tasks",),
    ("doctor", "cli", "__main__"),
)
# Where one floor holds modules that build on each other, the order in which they do.
ORDERS: tuple[tuple[str, ...], ...] = (
    ("errors", "notation"),
    ("errors", "registry"),
    ("module", "losses"),
    ("errors", "elsewhere", "answers"),
    ("transforms.structures", "transforms.evaluation", "transforms.autodiff"),
    ("transforms.structures", "transforms.recompute"),
    ("doctor", "cli", "__main__"),
    tuple(
        f"ops.{name}"
        for name in (
            "compare elementwise rounding functions special reduce shape joining index arrange scan sorting padding "
            "linalg decompose roots products windows conv pool creation composite"
        ).split()
    ),
)
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}


class Import(NamedTuple):
    """One imported module (and the name taken from it, or "") with the line it stands on."""

    module: str
    name: str
    line: int


def tracked(*patterns: str) -> list[Path]:
    """The files that git knows or would take, as paths from the root; patterns are git's (`*.py` is any depth).

    In a copy without its repository, every file that matches, but for those in hidden folders.
    """
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    try:
        names = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("[!.]*") if path.suffix != ".pyc"]
        open_ones = [str(path) for path in paths if not any(part.startswith(".") for part in path.parts)]
        names = [name for name in open_ones if any(fnmatch(name, pattern) for pattern in patterns or "*")]
    return [Path(name) for name in sorted(set(names)) if (ROOT / name).is_file()]


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file, `path` from the root."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def dotted(path: Path) -> str:
    """`minigrad/ops/reduce.py` is `minigrad.ops.reduce`, a package's `__init__.py` is the package."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def library() -> dict[str, Path]:
    """The modules of `minigrad`, by dotted name."""
    return {dotted(path): path for path in tracked("minigrad/*.py")}


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, those inside functions too; not those for type checkers alone, which never run."""
    here = dotted(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    stack: list[ast.AST] = [tree(path)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            stack.extend(node.orelse)
        elif isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (Import(module, alias.name, node.lineno) for alias in node.names)
        else:
            stack.extend(ast.iter_child_nodes(node))


def needs(path: Path, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """The modules of `minigrad` that a file of `minigrad` imports, each with its line."""
    for module, name, line in imports(path):
        if module.partition(".")[0] == "minigrad":
            full = f"{module}.{name}"
            yield (full if full in known else module), line


def fault(importer: str, imported: str) -> str:
    """Why one module of `minigrad` may not import another, "" if it may."""
    above, below = importer.partition(".")[2], imported.partition(".")[2]
    if not above:  # minigrad/__init__.py stands above all floors
        return ""
    if not below:
        return "the package itself stands above all floors: import the module that holds the name"
    unit, other = above.partition(".")[0], below.partition(".")[0]
    for name in (unit, other):
        if name not in FLOOR:
            return f"{name} stands on no floor: enter it in FLOORS"
    for order in ORDERS:
        if above in order and below in order and order.index(below) >= order.index(above):
            return f"the order is {', '.join(order)}"
    if unit == other or FLOOR[other] < FLOOR[unit]:
        return ""
    if FLOOR[other] == FLOOR[unit]:
        if any(unit in order and other in order and order.index(other) < order.index(unit) for order in ORDERS):
            return ""
        return f"both stand on floor {FLOOR[unit]}"
    return f"floor {FLOOR[unit]} may not reach up to floor {FLOOR[other]}"


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Some cycle of a graph as the names along it, [] if there is none."""
    done: set[str] = set()
    for root in graph:
        trail: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = []
        if root not in done:
            stack.append((root, iter(sorted(graph[root]))))
            trail.append(root)
        while stack:
            node, rest = stack[-1]
            step = next((n for n in rest if n in graph and n not in done), None)
            if step is None:
                done.add(node)
                stack.pop()
                trail.pop()
            elif step in trail:
                return [*trail[trail.index(step) :], step]
            else:
                stack.append((step, iter(sorted(graph[step]))))
                trail.append(step)
    return []
