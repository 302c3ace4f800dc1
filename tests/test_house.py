"""The house rules of design and CONTRIBUTING.md, read from the files: floors, imports, names, sizes, what is banned."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from house import FLOOR, ROOT, cycle, dotted, fault, imports, library, needs, tracked, tree

import minigrad as mg

LIMIT = 400
GOLDEN = Path("tests/data/public_names.txt")
OUTSIDE = tracked("layers/*.py", "tests/*.py", "tutorials/*.py", "benchmarks/*.py")


# --- floors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", sorted(library()))
def test_a_file_imports_only_from_lower_floors(module: str) -> None:
    known = library()
    found = [(name, line, fault(module, name)) for name, line in needs(known[module], known)]
    assert [f"{known[module]}:{line} imports {name}: {why}" for name, line, why in found if why] == []


def test_every_floor_is_lived_in() -> None:
    units = {name.split(".")[1] for name in library() if "." in name}
    assert units <= set(FLOOR), f"no floor: {units - set(FLOOR)}"


def test_no_two_modules_import_each_other() -> None:
    known = library()
    graph = {module: {name for name, _ in needs(path, known)} - {module} for module, path in known.items()}
    assert " -> ".join(cycle(graph)) == ""


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("minigrad.ops.reduce", "minigrad.ops.elementwise", True),
        ("minigrad.ops.elementwise", "minigrad.ops.reduce", False),
        ("minigrad.ops.reduce", "minigrad.core", True),
        ("minigrad.core.tensor", "minigrad.ops.reduce", False),
        ("minigrad.core.tensor", "minigrad.core.modes", True),
        ("minigrad.notation.shapes", "minigrad.errors", True),
        ("minigrad.errors", "minigrad.notation.shapes", False),
        ("minigrad.transforms.autodiff", "minigrad.random", False),
        ("minigrad.backend.numpy", "minigrad", False),
        ("minigrad.new", "minigrad.errors", False),
        ("minigrad", "minigrad.cli", True),
    ],
)
def test_the_reading_of_floors_itself(importer: str, imported: str, allowed: bool) -> None:
    assert (fault(importer, imported) == "") is allowed


def test_a_cycle_is_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


# --- public names -----------------------------------------------------------------------------------------------------


def public_modules() -> dict[str, ModuleType]:
    """`minigrad` and the submodules that it lists, by dotted name."""
    listed = {f"minigrad.{name}": getattr(mg, name) for name in getattr(mg, "__all__", ())}
    return {"minigrad": mg} | {name: value for name, value in listed.items() if isinstance(value, ModuleType)}


def public_names() -> list[str]:
    """Every public name as a stranger writes it."""
    return sorted(
        f"{prefix}.{name}"
        for prefix, module in public_modules().items()
        for name in (getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")])
    )


def test_public_names_are_the_listed_ones() -> None:
    listed = (ROOT / GOLDEN).read_text(encoding="utf-8").splitlines()
    now = public_names()
    assert sorted(set(now) - set(listed)) == [], f"new public names: write them into {GOLDEN} and CHANGELOG.md"
    assert sorted(set(listed) - set(now)) == [], f"public names are gone: other people's code uses what {GOLDEN} lists"
    assert listed == sorted(listed)


@pytest.mark.parametrize("name", sorted(public_modules()))
def test_every_public_module_lists_its_names(name: str) -> None:
    module = public_modules()[name]
    names = module.__all__
    assert len(names) == len(set(names))
    assert [n for n in names if not hasattr(module, n)] == []


def test_no_public_function_has_the_name_of_a_submodule() -> None:
    submodules = {name.split(".")[1] for name in library() if "." in name}
    taken = [n for n in getattr(mg, "__all__", ()) if n in submodules and not isinstance(getattr(mg, n), ModuleType)]
    assert taken == [], "mg.NAME would be the function or the module, by the order of imports"


def test_type_checkers_are_told_the_names_that_are_loaded_later() -> None:
    """And those alone: what no checker knows it reports, so that a misspelt name is found before anything runs."""
    (later,) = [
        node for node in tree(Path("minigrad/__init__.py")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]  # fmt: skip
    told = [
        (alias, str(node.module)) for node in later.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert {alias.name: home for alias, home in told} == vars(mg)["_LATER"]
    assert all(alias.asname == alias.name for alias, _ in told)


@pytest.mark.parametrize("name", public_names())
def test_every_public_object_has_a_docstring(name: str) -> None:
    prefix, _, last = name.rpartition(".")
    value = getattr(public_modules()[prefix], last)
    if inspect.isclass(value) or callable(value) or isinstance(value, ModuleType):
        assert inspect.getdoc(value), f"{name} has no docstring"


def strangers_faults(path: Path) -> list[str]:
    """Where a file that stands outside the library reaches past the public names."""
    modules = public_modules()
    found = []
    aliases = {"minigrad"}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname for alias in node.names if alias.name == "minigrad" and alias.asname}
    for module, name, line in imports(path):
        if module.partition(".")[0] == "layers":
            found.append(f"{path}:{line} imports {module}: it is minigrad_layers")
        if module.partition(".")[0] != "minigrad":
            continue
        if module not in modules:
            found.append(f"{path}:{line} imports {module}, which is not public")
        elif name and name not in getattr(modules[module], "__all__", ()):
            found.append(f"{path}:{line} takes {name} from {module}, which does not list it")
    for node in ast.walk(tree(path)):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases):
            continue
        if node.attr.startswith("_") and not node.attr.startswith("__"):
            found.append(f"{path}:{node.lineno} reads {node.value.id}.{node.attr}")
    return found


INSIDE = {  # tests whose subject lies behind the public names, each with that subject
    "tests/conftest.py": "what the doctor says of the machine; the switch of the engine's quick paths",
    "tests/test_quick.py": "the quick paths of the engine, beside the plain one",
    "tests/test_packaging.py": "the name of the distribution",
    "tests/test_plugins.py": "what the doctor says of the machine",
    "tests/test_debug.py": "what a guard keeps of a graph",
    "tests/test_saving_files.py": "how a file is put in the place of another",
    "tests/test_backend_fakecupy.py": "the stand-in's array type and its frozen list of names",
    "tests/test_backend_cupylike.py": "what the stand-in and CuPy share, and the dtypes of atomics",
    "tests/test_backend_kernels.py": "the texts of the kernels and their launches",
    "tests/test_backend_philox.py": "the reference and the kernel of the random generator",
    "tests/mutants.py": "the registry, from which faulty primitives are taken again",
    "tests/sabotage.py": "the engine with a fault put in",
    "tests/test_graph_hostile.py": "the reading of graphs without its checks",
    "tests/test_graph_faults.py": "nodes that must not outlive an exception",
    "tests/faults.py": "the engine with a fault put in",
    "tests/test_known_faults.py": "faults, put in where they would be made",
    "tests/test_known_faults_numbers.py": "faults, put in where they would be made",
    "tests/test_known_faults_world.py": "faults, put in where they would be made",
    "tests/test_known_faults_training.py": "faults, put in where they would be made",
    "tests/test_elsewhere.py": "the tables of other libraries' names",
    "tests/test_methods.py": "the declarations of Tensor's methods",
    "tests/test_regressions.py": "places where the engine was wrong",
    "tests/test_threads.py": "the modes of threads and tasks",
    "tests/test_interrupts.py": "the modes that an interrupt leaves",
    "tests/test_derivation.py": "the list of primitives that are functions of minigrad as they are",
    "tests/test_notation.py": "the formula shapes one by one",
    "tests/test_notation_meaning.py": "the formula shapes one by one",
    "tests/test_registry.py": "the registry itself, which users meet as register_layer",
}


def test_the_tests_that_look_inside_exist() -> None:
    assert sorted(set(INSIDE) - set(map(str, tracked("tests/*.py")))) == []


@pytest.mark.parametrize("path", [p for p in OUTSIDE if str(p) not in INSIDE], ids=str)
def test_layers_tests_and_tutorials_use_public_names_only(path: Path) -> None:
    assert strangers_faults(path) == []


# --- light import -----------------------------------------------------------------------------------------------------


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return run.stdout


def test_importing_minigrad_loads_numpy_and_the_standard_library() -> None:
    code = "import sys; before = set(sys.modules); import minigrad; print(*sorted(set(sys.modules) - before))"
    loaded = {name.partition(".")[0] for name in fresh(code).split()}
    allowed = set(sys.stdlib_module_names) | {"numpy", "minigrad"}
    # CPython's own build-time constants carry the platform in their name.
    assert {name for name in loaded - allowed if not name.startswith("_sysconfigdata")} == set()


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_fits_in_the_head() -> None:
    lengths = {str(path): (ROOT / path).read_text(encoding="utf-8").count("\n") for path in tracked("*.py")}
    assert {path: n for path, n in lengths.items() if n >= LIMIT} == {}


def test_every_module_says_what_it_is_for() -> None:
    modules = [path for path in tracked("*.py") if path.parts[0] != "tutorials"]  # those open with a cell of text
    assert [str(path) for path in modules if ast.get_docstring(tree(path)) is None] == []


BANNED_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}


def dangers(module: ast.Module) -> list[str]:
    """Uses of what could run code that came from a file or a shell, as `line: what`."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found += [(node.lineno, a.name) for a in node.names if a.name.partition(".")[0] in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in BANNED_MODULES:
            found.append((node.lineno, str(node.module)))
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            whole = ast.unparse(node.func)
            if name in BANNED_CALLS or whole in {"os.system", "os.popen"}:
                found.append((node.lineno, whole))
            for word in node.keywords:
                off = isinstance(word.value, ast.Constant) and word.value.value is False
                if word.arg in {"shell", "allow_pickle"} and not off:
                    found.append((node.lineno, f"{word.arg}="))
        elif isinstance(node, ast.ExceptHandler) and ast.unparse(node.body) in {"pass", "..."}:
            caught = ast.unparse(node.type) if node.type else "everything"
            if caught in {"Exception", "BaseException", "everything"}:
                found.append((node.lineno, f"silence for {caught}"))
    return [f"{line}: {what}" for line, what in found]


@pytest.mark.parametrize("path", tracked("minigrad/*.py", "layers/*.py"), ids=str)
def test_nothing_runs_code_that_came_from_a_file_or_a_shell(path: Path) -> None:
    assert dangers(tree(path)) == []


@pytest.mark.parametrize(
    "code",
    ["import pickle", "from marshal import loads", "eval(text)", "run(x, shell=True)", "load(f, allow_pickle=flag)",
     "os.system(x)", "try: f()\nexcept Exception: pass", "try: f()\nexcept: pass"],
)  # fmt: skip
def test_the_search_for_dangers_itself(code: str) -> None:
    assert len(dangers(ast.parse(code))) == 1


# Spelt in pieces, so that this file does not hold what it looks for.
ADDRESSES = re.compile(
    r"py" + r"pi\.org|python" + r"hosted|--(extra-)?" + r"index-url|find-" + r"links|registry *= *.http"
)
PLACES = re.compile(r"(^|[^a-zA-Z0-9_.])/" + r"(home|root|tmp|work)/[a-z]", re.MULTILINE)
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


@pytest.mark.parametrize(
    ("what", "pattern"),
    [("a registry's address", ADDRESSES), ("a place on one machine", PLACES), ("unfinished", UNFINISHED)],
)
def test_no_file_holds(what: str, pattern: re.Pattern[str]) -> None:
    found = []
    for path in tracked():
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and checkpoints
        found += [f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m.group()}" for m in pattern.finditer(text)]
    assert found == [], what


def test_both_distributions_carry_the_same_licence_and_version() -> None:
    assert (ROOT / "LICENSE").read_text() == (ROOT / "layers/LICENSE").read_text()
    lines = [
        (ROOT / p).read_text().split("\nversion = ")[1].split("\n")[0]
        for p in ("pyproject.toml", "layers/pyproject.toml")
    ]
    assert lines[0] == lines[1]


def test_every_pinned_version_is_a_bare_pin() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)] == []


def test_the_layers_are_found_under_their_own_name() -> None:
    for path in tracked("layers/minigrad_layers/*.py"):
        module = import_module(dotted(path).removeprefix("layers."))
        assert module.__name__.startswith("minigrad_layers")
    assert not [name for name in sys.modules if name.startswith("layers.")]
