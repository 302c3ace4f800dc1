"""P2: each wheel holds one top-level package (minigrad's also the door for pytest), and works from a fresh environment
that has the declared dependencies.

The wheels are built by what the environment has (no isolation, so no network). The fresh environment sees nothing of
this one but the core dependencies, which a folder of links shows it: an import that is not declared fails there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, files
from pathlib import Path

import pytest
from house import ROOT
from packaging.requirements import Requirement

from minigrad.doctor import DISTRIBUTION

CORE = ("numpy", "graphviz", "safetensors")
PROJECTS = {"minigrad": ROOT, "minigrad_layers": ROOT / "layers"}
WHEELS = {"minigrad": "minigrad_engine", "minigrad_layers": "minigrad_layers"}

# What the fresh environment runs, beside a user's own layers.py that must not be taken for ours.
SMOKE = """
import sys
import minigrad as mg
import minigrad_layers
from minigrad_layers import BatchNorm1d, Linear, Sequential

for package in (mg, minigrad_layers):
    assert package.__file__.startswith(sys.prefix), package.__file__
assert {"Linear", "BatchNorm1d", "Dropout", "Conv2d"} <= set(mg.layers()), set(mg.layers())
assert type(mg.layer("Linear", 2, 3)) is Linear

model = Sequential(Linear(4, 8), BatchNorm1d(8), Linear(8, 1))
x = mg.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [0.0, 1.0, 0.0, 1.0]], dtype="float32")
mg.mean(model(x) ** 2).backward()
assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())

import layers
assert layers.MINE
print("works")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; when it fails, the test shows all that it printed."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels, freshly built."""
    out = tmp_path_factory.mktemp("wheels")
    for project in PROJECTS.values():
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, project, cwd=out)
    return {name: next(out.glob(f"{wheel}-*.whl")) for name, wheel in WHEELS.items()}


@pytest.fixture(scope="module")
def fresh(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new environment that holds the two wheels and sees the core dependencies."""
    place = tmp_path_factory.mktemp("fresh")
    env, linked = place / "env", place / "linked"
    run(sys.executable, "-m", "venv", "--without-pip", env, cwd=place)
    linked.mkdir()
    for name in CORE:
        home = Path(str(distribution(name).locate_file("")))
        for top in {file.parts[0] for file in files(name) or () if not file.parts[0].startswith("..")}:
            (linked / top).symlink_to(home / top)
    install = ("-m", "pip", "--python", env / "bin/python", "install", "-q", "--no-deps", "--no-index")
    run(sys.executable, *install, *wheels.values(), cwd=place)
    site = run(env / "bin/python", "-c", "import site; print(site.getsitepackages()[0])", cwd=place).strip()
    Path(site, "linked.pth").write_text(f"{linked}\n")
    return env


@pytest.mark.parametrize("name", PROJECTS)
def test_a_wheel_holds_one_package_and_its_papers(wheels: dict[str, Path], name: str) -> None:
    inside = zipfile.ZipFile(wheels[name]).namelist()
    tops = {path.partition("/")[0] for path in inside}
    alone = {"_minigrad_pytest.py"} if name == "minigrad" else set()  # pytest loads it in every run
    assert {top for top in tops if not top.endswith(".dist-info")} == {name} | alone
    assert f"{name}/py.typed" in inside
    assert any(path.endswith(".dist-info/licenses/LICENSE") for path in inside)
    sources = {path.relative_to(PROJECTS[name]).as_posix() for path in (PROJECTS[name] / name).rglob("*.py")}
    assert {path for path in inside if path.endswith(".py")} == sources | alone


def test_the_declared_dependencies_are_the_ones_we_say(wheels: dict[str, Path]) -> None:
    def core(wheel: Path) -> set[str]:
        archive = zipfile.ZipFile(wheel)
        text = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))).decode()
        needed = re.findall(r"^Requires-Dist: ([\w-]+)(.*)$", text, re.MULTILINE)
        return {name for name, rest in needed if "extra ==" not in rest}

    assert core(wheels["minigrad"]) == set(CORE)
    assert core(wheels["minigrad_layers"]) == {"minigrad-engine"}


@pytest.mark.parametrize("folder", PROJECTS.values(), ids=PROJECTS)
def test_no_requirement_is_the_bare_name_of_another_project(folder: Path) -> None:
    """`minigrad` in the public registry is not ours: whoever requires it gets a stranger's code."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(one for extra in project["project"].get("optional-dependencies", {}).values() for one in extra),
    ]
    names = {re.sub(r"[-_.]+", "-", Requirement(one).name).lower() for one in needed}
    assert len(needed) >= 2
    assert "minigrad" not in names
    assert names & {"minigrad-engine", "minigrad-layers"} <= {"minigrad-engine"}
    assert project["project"]["name"] in ("minigrad-engine", "minigrad-layers")


def test_the_layers_take_the_engine_of_their_own_series() -> None:
    engine, layers = (
        tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in PROJECTS.values()
    )
    (needed,) = map(Requirement, layers["dependencies"])
    assert needed.name == engine["name"] == DISTRIBUTION
    assert needed.specifier.contains(engine["version"])
    assert not needed.specifier.contains("0.2")


def test_the_wheels_work_in_a_fresh_environment(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text("MINE = True\n")
    (tmp_path / "smoke.py").write_text(SMOKE)
    assert run(fresh / "bin/python", "-W", "error", "smoke.py", cwd=tmp_path) == "works\n"
    listed = run(fresh / "bin/minigrad", "layers", cwd=tmp_path)
    assert "BatchNorm1d" in listed
    assert "minigrad-layers" in listed


def test_the_doctor_tells_what_a_bare_environment_lacks(fresh: Path, tmp_path: Path) -> None:
    """No drawing engine, nothing of the extras, and then no layers: each with how to get it."""
    command = [fresh / "bin/minigrad", "doctor", "--json"]

    def rows() -> tuple[int, dict[str, tuple[str, str]]]:
        done = subprocess.run(
            command, cwd=tmp_path, env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60
        )
        assert done.stderr == ""
        return done.returncode, {row["what"]: (row["state"], row["detail"]) for row in json.loads(done.stdout)}

    code, found = rows()
    assert code == 0
    for what, state, told in (
        ("dot", "absent", "pip install graphviz-pure"),
        ("backend cupy", "absent", "pip install cupy-cuda13x"),
        ("matplotlib", "absent", "not installed: pip install matplotlib (extra `train`)"),
        ("graphviz", "ok", ""),
        ("layers", "ok", " of minigrad-layers "),
    ):
        assert found[what][0] == state, found[what]
        assert told in found[what][1]
    layers = next(fresh.glob("lib/python*/site-packages/minigrad_layers-*.dist-info"))
    aside = layers.rename(tmp_path / layers.name)
    try:
        code, found = rows()
        assert (code, found["layers"][0]) == (1, "broken")
        assert "pip install -e . -e layers" in found["layers"][1]
    finally:
        aside.rename(layers)


def test_without_the_layers_the_core_works_and_says_what_to_install(fresh: Path, tmp_path: Path) -> None:
    code = "import minigrad as mg; assert not mg.layers(); mg.layer('Linear', 2, 3)"
    alone = {"MINIGRAD_PLUGINS": "off"}
    done = subprocess.run(
        [fresh / "bin/python", "-c", code], cwd=tmp_path, env=alone, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "UnknownLayerError" in done.stderr
    assert "minigrad-layers" in done.stderr
