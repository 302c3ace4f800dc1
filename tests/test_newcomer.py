"""L5: a newcomer's layer, a package of its own of under 25 lines, is installed without network and is found, checked by
the kit and by pytest's plugin, drawn and saved. And the plugin costs other runs of pytest nothing.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PULL = Path(__file__).parent / "plugins/pull"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package, built by what the environment has."""
    folder = tmp_path_factory.mktemp("installed")
    copy = tmp_path_factory.mktemp("source") / "pull"
    (copy / "minigrad_pull").mkdir(parents=True)  # the checkout stays as it is
    for name in ("pyproject.toml", "minigrad_pull/__init__.py"):
        (copy / name).write_bytes((PULL / name).read_bytes())
    asked = ["install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--target", folder, copy]
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, asked)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def run(*command: str, at: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run([sys.executable, *command], cwd=at, env=env, capture_output=True, text=True, timeout=120)


def test_l5_it_is_short() -> None:
    text = (PULL / "minigrad_pull/__init__.py").read_text()
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) - len((ast.get_docstring(ast.parse(text)) or "").splitlines()) < 25


def test_l5_it_is_found_checked_drawn_and_saved(installed: Path, tmp_path: Path) -> None:
    use = """
import json
import minigrad as mg
info = mg.layers()["RandomPull"]
report = mg.check.layer("RandomPull")
model = mg.layer("RandomPull", 4, p=0.5)
x = mg.random.normal((3, 4))
with mg.trace(model) as graph:
    model(x).sum().backward()
mg.save("pull.safetensors", model=model)
mg.load("pull.safetensors", model=mg.layer("RandomPull", 4, p=0.5))
found = [info.family, info.origin, len(report.findings), len(report.failed), repr(model), graph.dot().source]
found += [mg.summary(model, (3, 4))]
print(json.dumps(found))
"""
    done = run("-c", use, at=tmp_path, path=installed)
    assert done.returncode == 0, done.stderr
    family, origin, checks, failed, shown, dot, table = json.loads(done.stdout)
    assert (family, origin, failed) == ("minigrad_pull", "minigrad-pull", 0)
    assert checks >= 50
    assert shown == "RandomPull(4, p=0.5)"
    assert "RandomPull" in dot
    assert "4 parameters" in table
    assert (tmp_path / "pull.safetensors").stat().st_size > 0
    listing = run("-m", "minigrad", "layers", at=tmp_path, path=installed).stdout
    assert any(line.split()[:3] == ["RandomPull", "minigrad_pull", "minigrad-pull"] for line in listing.splitlines())


def plugin(*options: str, at: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """pytest with minigrad's plugin, whether or not the environment's metadata names it already."""
    return run("-m", "pytest", "-p", "_minigrad_pytest", "-p", "no:cacheprovider", *options, at=at, path=path)


def test_l5_pytest_checks_it(installed: Path, tmp_path: Path) -> None:
    done = plugin("--minigrad-layers-of=minigrad-pull", "-q", at=tmp_path, path=installed)
    assert "2 passed" in done.stdout, done.stdout
    one = plugin("--minigrad-layers", "-k", "RandomPull and 0.25", "-v", at=tmp_path, path=installed)
    assert "1 passed" in one.stdout, one.stdout
    assert "minigrad-pull::RandomPull" in one.stdout


BROKEN = """
import minigrad as mg
@mg.register_layer
class Leaks(mg.Module):
    \"\"\"x over its own size, which is detached.\"\"\"
    samples = (mg.Sample(inputs=((3, 4),)),)
    def forward(self, x):
        size = mg.mean(mg.abs(x)).detach()
        return x / size
@mg.register_layer
class Bare(mg.Module):
    \"\"\"x.\"\"\"
    def forward(self, x):
        return x
def test_mine(): pass
"""


def test_pytest_shows_what_fails_and_nothing_of_the_kit(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(BROKEN)
    done = plugin("--minigrad-layers-of=Leaks", "--minigrad-layers-of=Bare", "test_mine.py", at=tmp_path)
    assert "2 failed, 1 passed" in done.stdout, done.stdout
    assert "constant leak" in done.stdout
    assert "size = mg.mean(mg.abs(x)).detach()" in done.stdout
    assert "Bare declares no samples" in done.stdout
    assert "promises.py" not in done.stdout
    wrong = plugin("--minigrad-layers-of=Nobody", at=tmp_path)
    assert wrong.returncode == 4
    assert "--minigrad-layers-of=Nobody: neither a layer nor a distribution" in wrong.stderr


def test_other_runs_of_pytest_import_no_minigrad(tmp_path: Path) -> None:
    asserts = "'_minigrad_pytest' in sys.modules and 'minigrad' not in sys.modules"
    (tmp_path / "test_look.py").write_text(f"import sys\ndef test_it():\n    assert {asserts}\n")
    done = plugin("-q", at=tmp_path)
    assert "1 passed" in done.stdout, done.stdout
