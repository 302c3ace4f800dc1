"""P1: broken, doubled and slow plugins, and a user's own `layers.py`; each in its own process, from real metadata."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from minigrad.doctor import beyond_v2

NEW = """
import minigrad as mg
@mg.register_layer
class {name}(mg.Module):
    \"\"\"{does}\"\"\"
    def forward(self, x):
        return x * {factor}
"""


def install(folder: Path, dist: str, code: str, target: str = "") -> Path:
    """A distribution of one module that offers layers, as an installer leaves it."""
    module = dist.replace("-", "_")
    file = folder / f"{module}.py"
    file.write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[minigrad.layers]\nstandard = {target or module}\n")
    return file


def run(code: str, folder: Path, **environment: str) -> tuple[str, str]:
    """Standard output and error of a process that finds the distributions in `folder` and stands there."""
    env = os.environ | {"PYTHONPATH": str(folder)} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def doctor(folder: Path, **environment: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The doctor's exit code and its rows, by what they are about."""
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", "doctor", "--json"], cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)} | environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(done.stdout):
        rows.setdefault(row["what"], []).append(row)
    return done.returncode, rows


CORE = """
import minigrad as mg
x = mg.tensor([1.0, 2.0], requires_grad=True)
mg.sum(mg.exp(x) * x).backward()
assert abs(x.grad.numpy()[0] - 5.43656365691809) <= 1e-12
"""


@pytest.mark.parametrize(
    ("code", "target", "cause"),
    [
        ("raise ValueError('no such device')", "", "ValueError: no such device"),
        ("import a_module_that_is_not_there", "", "ModuleNotFoundError"),
        ("def broken(:", "", "SyntaxError"),
        ("import minigrad as mg\n@mg.register_layer\nclass Odd(mg.Module): pass\n", "", "DeclarationError"),
        ("", "bad_layers:nothing", "AttributeError"),
        ("import sys\nsys.exit(3)", "", "SystemExit: 3"),
        ("raise RuntimeError('one\\ntwo')", "", "RuntimeError: one"),
    ],
    ids=["raises", "imports", "syntax", "declares", "names", "leaves", "has much to say"],
)
def test_a_broken_plugin_warns_and_everything_else_works(code: str, target: str, cause: str, tmp_path: Path) -> None:
    install(tmp_path, "bad-layers", code, target)
    install(tmp_path, "good-layers", NEW.format(name="Twice", does="2 x.", factor=2))
    use = CORE + "print(mg.layer('Twice')(mg.tensor(3.0)).item(), len(mg.layers()) > 5)"
    out, err = run(use, tmp_path)
    assert out.split() == ["6.0", "True"]
    assert "'standard' of the distribution 'bad-layers' could not be loaded" in err
    assert cause in err
    code_, rows = doctor(tmp_path)
    assert code_ == 1
    (plugin,) = rows["plugin"]
    assert plugin["state"] == "broken"
    assert "'bad-layers'" in plugin["detail"]
    assert cause in plugin["detail"]
    assert "\n" not in plugin["detail"]
    assert "1 of good-layers 1.0" in rows["layers"][0]["detail"]


def test_a_backend_that_leaves_python_is_broken_too(tmp_path: Path) -> None:
    install(tmp_path, "bad-arrays", "import sys\nsys.exit(3)")
    info = tmp_path / "bad_arrays-1.0.dist-info/entry_points.txt"
    info.write_text("[minigrad.backends]\nbad = bad_arrays:Backend\n")
    code, rows = doctor(tmp_path)
    assert code == 1
    assert rows["backend bad"][0]["state"] == "broken"
    assert "(bad-arrays) cannot be loaded: SystemExit: 3" in rows["backend bad"][0]["detail"]


@pytest.mark.parametrize("off", ["off", " OFF"])
def test_plugins_that_are_turned_off_are_no_fault(off: str, tmp_path: Path) -> None:
    install(tmp_path, "bad-layers", "raise ValueError")
    code, rows = doctor(tmp_path, MINIGRAD_PLUGINS=off)
    assert "plugin" not in rows
    assert (code, rows["layers"][0]["state"]) == (0, "absent")
    assert "MINIGRAD_PLUGINS=off" in rows["layers"][0]["detail"]
    told = "import minigrad as mg\ntry: mg.layer('Linear', 2, 3)\nexcept mg.errors.UnknownLayerError as e: print(e)"
    assert "MINIGRAD_PLUGINS=off keeps plugins from being loaded" in run(told, tmp_path, MINIGRAD_PLUGINS=off)[0]


def test_the_doctor_tells_how_to_get_the_same_bits(tmp_path: Path) -> None:
    """R1: the number of BLAS threads is what may change the last digits from one machine to another."""
    for threads, told in (("1", False), ("2", True)):
        _, rows = doctor(tmp_path, OPENBLAS_NUM_THREADS=threads)
        assert ("for the same bits, OPENBLAS_NUM_THREADS=1" in rows["blas"][0]["detail"]) is told
        assert f"OPENBLAS_NUM_THREADS={threads}" in rows["blas"][0]["detail"]


def test_the_doctor_tells_which_loops_numpy_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R6: with the processor's extensions off, as `scripts/nightly` turns them off, it names none of them as used."""
    found = beyond_v2()
    for off in ("", " ".join(found)) if found else ("",):
        told = doctor(tmp_path, NPY_DISABLE_CPU_FEATURES=off)[1]["cpu"][0]["detail"]
        used, _, disabled = told.partition("; off: ")
        assert disabled == off
        assert set(found) & set(used.split()) == (set() if off else set(found))
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert beyond_v2() == ()


def test_two_plugins_of_one_name_are_both_named_and_the_core_works(tmp_path: Path) -> None:
    twice = NEW.format(name="Twice", does="2 x.", factor=2)
    files = [install(tmp_path, dist, twice) for dist in ("one-layers", "two-layers")]
    use = CORE + "try: mg.layer('Twice')\nexcept mg.errors.PluginError as problem: print(problem)"
    for told in (run(use, tmp_path)[0], doctor(tmp_path)[1]["layers"][0]["detail"]):
        assert "two plugins register a layer called 'Twice'" in told
        assert all(str(file) in told for file in files)
        assert "(one-layers)" in told
        assert "(two-layers)" in told
    assert doctor(tmp_path)[0] == 1


def test_a_slow_plugin_costs_nothing_until_it_is_asked_for(tmp_path: Path) -> None:
    slow = "import time, pathlib\npathlib.Path(__file__).with_suffix('.asked').touch()\ntime.sleep(0.3)\n"
    install(tmp_path, "slow-layers", slow + NEW.format(name="Thrice", does="3 x.", factor=3))
    use = """
from minigrad_layers import Linear
Linear(2, 2)(x)
assert "slow_layers" not in sys.modules
print(mg.layer("Thrice")(mg.tensor(2.0)).item())
"""
    assert run("import sys\n" + CORE + use, tmp_path)[0] == "6.0\n"
    (tmp_path / "slow_layers.asked").unlink()
    run(CORE, tmp_path)
    run(CORE + "assert mg.layers is not None", tmp_path, MINIGRAD_PLUGINS="off")
    assert not (tmp_path / "slow_layers.asked").exists()


def test_a_users_own_layers_module_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text("WIDTH = 64\n")
    (tmp_path / "minigrad_layers_of_mine.py").write_text(NEW.format(name="Mine", does="5 x.", factor=5))
    use = """
import layers
import minigrad_layers_of_mine
from minigrad_layers import BatchNorm1d, Linear
assert layers.WIDTH == 64 and Linear.__module__.startswith("minigrad_layers.")
print(mg.layer("Mine")(mg.tensor(1.0)).item(), mg.layer("Linear", 2, 3).weight.shape, mg.layers()["Mine"].origin)
"""
    out, err = run(CORE + use, tmp_path)
    assert out.startswith("5.0 (3, 2) ")
    assert out.strip().endswith("minigrad_layers_of_mine.py")
    assert err == ""


def test_a_name_of_minigrads_own_layers_may_not_be_taken(tmp_path: Path) -> None:
    install(tmp_path, "rude-layers", NEW.format(name="Linear", does="No.", factor=0))
    out, _ = run(CORE + "try: mg.layers()\nexcept mg.errors.PluginError as problem: print(problem)", tmp_path)
    assert "(minigrad-layers)" in out
    assert "(rude-layers)" in out
    assert run(CORE + "from minigrad_layers import Linear\nprint(Linear(2, 3))", tmp_path)[0].startswith("Linear(in_")


def test_the_family_is_the_folder_below_what_the_entry_point_names(tmp_path: Path) -> None:
    """A stranger's package too, wherever in it the layers lie; what lies in that module itself goes by the package."""
    install(tmp_path, "acme-nn", "", "acme.nn.layers")
    folder = tmp_path / "acme/nn/layers/norms"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text(
        "from acme.nn.layers import noise\nfrom acme.nn.layers.norms import rms\n"
        + NEW.format(name="Plain", does="x.", factor=1)
    )
    (folder / "rms.py").write_text(NEW.format(name="Deep", does="x.", factor=1))
    (folder.parent / "noise.py").write_text(NEW.format(name="Noise", does="x.", factor=1))
    use = "print({n: i.family for n, i in mg.layers().items() if n in ('Plain', 'Deep', 'Noise', 'BatchNorm2d')})"
    found = run("import minigrad as mg\n" + use, tmp_path)[0]
    assert ast.literal_eval(found) == {
        "BatchNorm2d": "normalization",
        "Deep": "norms",
        "Noise": "noise",
        "Plain": "acme",
    }
