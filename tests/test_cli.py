"""The command line: what it writes, its exit codes, and that a user's mistake gives a message and no traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.training import Callback

Said = tuple[int, str, str]
FILES = ["batch_norm.svg", "curves.png", "graph.svg", "history.jsonl", "weights.safetensors"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Call the command in a folder of its own: (exit code, standard output, standard error output)."""
    (point,) = entry_points(group="console_scripts", name="minigrad")
    main = point.load()
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> Said:
        code = main(line.split())
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def process(*words: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "minigrad", *words],
        cwd=cwd, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


# ---- listings


@pytest.mark.parametrize("command", ["", "train", "draw", "layers", "doctor"])
def test_every_command_has_help_with_examples(command: str, call: Callable[..., Said]) -> None:
    code, out, err = call(f"{command} --help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: minigrad {command}".strip())
    assert not command or f"examples:\n  minigrad {command}" in out


def test_the_examples_of_the_help_are_understood(call: Callable[..., Said]) -> None:
    _, out, _ = call("draw --help")
    for line in out.partition("examples:\n")[2].splitlines():
        assert call(line.removeprefix("  minigrad ").partition("   ")[0])[0] == 0


def test_layers_are_listed_with_their_origin(call: Callable[..., Said]) -> None:
    code, out, _ = call("layers")
    head, *rows = out.splitlines()
    assert code == 0
    assert head.split() == ["NAME", "FAMILY", "ORIGIN", "SUMMARY"]
    assert {row.split()[0] for row in rows} == set(mg.layers())
    code, out, _ = call("layers --json")
    found = {row["name"]: row for row in json.loads(out)}
    assert (found["Linear"]["family"], found["Linear"]["origin"]) == ("dense", "minigrad-layers")


def test_the_doctor_looks_at_everything(call: Callable[..., Said]) -> None:
    code, out, _ = call("doctor --json")
    found = {row["what"]: row["state"] for row in json.loads(out)}
    assert code == 0
    rows = "python minigrad numpy cpu blas memory layers dot graphviz safetensors scikit-learn rich matplotlib".split()
    assert {*rows, "backend numpy", "backend cupy", "backend fakecupy"} <= set(found)
    assert found["layers"] == "ok"
    assert "backend fakecupy" in call("doctor")[1]


def test_the_doctor_tells_what_is_missing(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def lacking(name: str) -> str:
        if name in ("rich", "graphviz"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("minigrad.doctor.version", lacking)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    code, out, _ = call("doctor --json")
    found = {row["what"]: row for row in json.loads(out)}
    assert code == 1  # graphviz is no extra
    assert (found["graphviz"]["state"], found["graphviz"]["detail"]) == (
        "broken",
        "not installed: pip install graphviz",
    )
    assert (found["rich"]["state"], found["rich"]["detail"]) == (
        "absent",
        "not installed: pip install rich (extra `train`)",
    )
    assert (found["dot"]["state"], "pip install graphviz-pure" in found["dot"]["detail"]) == ("absent", True)


def test_without_the_layers_it_says_what_to_install(tmp_path: Path) -> None:
    for words in (["layers"], ["train", "digits"], ["draw", "Linear", "--shape", "2"]):
        done = process(*words, cwd=tmp_path, MINIGRAD_PLUGINS="off")
        out, err = done.communicate()
        assert done.returncode in (1, 2)
        assert "pip install -e . -e layers" in out + err
        assert "Traceback" not in err


# ---- mistakes


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("", 2, "COMMAND"),
        ("trian", 2, "invalid choice"),
        ("train", 2, "task"),
        ("train faces", 2, "digits"),
        ("train digits --epochs 0", 2, "'0' must be a whole number"),
        ("train digits --device gpu", 2, "available here: numpy"),
        ("train digits --resume", 2, "there is no runs/digits/weights.safetensors"),
        ("train digits --seed -1", 2, "-1"),
        ("train digits --out README", 2, "'README' is a file, not a folder"),
        ("train digits --out README/runs", 2, "'README' is a file, not a folder"),
        ("draw Linaer 2 2 --shape 3x2", 2, "did you mean 'Linear'"),
        ("draw Linear 2 --shape 3x2", 2, "Linear(2)"),
        ("draw Linear 2 2 --shape 3x5", 2, "--shape 3x5"),
        ("draw Linear 2 2 --shape 3,2", 2, "such as 4x3"),
        ("draw Linear 2 2 --shape 3x2 -o x.jpg", 2, "must end in one of"),
        ("draw Linear 2 2 --shape 3x2 -o nowhere/x.dot", 2, "there is no folder 'nowhere'"),
        ("draw Linear 2 2 --shape 3x2 --show shapes", 2, "'shapes' must be among 'shape', 'dtype'"),
        ("draw Linear 2 2 --shape 3x2 --depth -1", 2, "-1 must be a whole number"),
        ("draw Linear 2 2 --shape 3x2 --order 3", 2, "choose from"),
        ("draw Linear 2 2 --shape 3x2 --form paper", 2, "textbook"),
        ("train digits --lr 0", 2, "'0' must be a number above 0"),
        ("train digits --lr inf", 2, "must be a number above 0"),
        ("train digits --seed 1.5", 2, "2**64"),
        ("layers --jason", 2, "--jason"),
    ],
)
def test_mistakes_get_one_message(line: str, code: int, said: str, call: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "README").write_text("a file that stands in the way")
    found, out, err = call(line)
    assert found == code
    assert said in err
    assert out == ""


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    """`minigrad layers | head -0`: the pipe is closed before anything is written."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as out:  # noqa: PTH123  (a descriptor is no path)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "minigrad", "layers"],
            cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")


def test_ctrl_c_before_anything_began(call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("minigrad.module.layers", pressed)
    assert call("layers")[0] == 130


def test_how_to_go_on_is_told_in_the_words_of_the_call(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C in the first epoch, from a program called `minigrad` and from one of another name."""
    pytest.importorskip("sklearn")
    script = tmp_path / "bin/minigrad"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    pressed: list[int] = []  # by the first callback only: a second Ctrl-C is not held back

    def press(self: Callback, epoch: int) -> None:
        if not pressed:
            pressed.append(epoch)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Callback, "on_epoch_begin", press)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    for called, words in ((script, "minigrad"), ("elsewhere/mg", "elsewhere/mg")):
        monkeypatch.setattr(sys, "argv", [str(called)])
        pressed.clear()
        code, _, err = call("train digits --epochs 1 --batch-size 512 --out again --device fakecupy")
        assert code == 130
        assert err.splitlines()[-1].strip() == f"{words} train digits --resume --out again --device fakecupy"


def test_a_missing_scikit_learn_is_named(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    code, _, err = call("train digits")
    assert code == 1
    assert "pip install scikit-learn" in err
    assert list(tmp_path.iterdir()) == []


# ---- drawing


def test_words_are_text_where_they_are_no_json(call: Callable[..., Said]) -> None:
    code, out, _ = call("draw Conv2d 1 2 3 padding=same --shape 1x1x4x4")
    assert code == 0
    assert "padding=same" in out


@pytest.mark.parametrize("suffix", ["dot", "json", "svg", "png"])
def test_a_layer_is_drawn(suffix: str, call: Callable[..., Said], tmp_path: Path) -> None:
    code, out, _ = call(f"draw BatchNorm1d 3 eps=1e-3 --shape 4x3 --passes both -o bn.{suffix}")
    assert code == 0
    assert "BatchNorm1d(3, eps=0.001" in out
    head = {"dot": b"digraph", "json": b"{", "svg": b"<?xml", "png": b"\x89PNG"}[suffix]
    assert (tmp_path / f"bn.{suffix}").read_bytes().lstrip().startswith(head)


@pytest.mark.parametrize(
    ("options", "drawn", "absent"),
    [
        ("", ["x_hat", "∂ weight", "running_statistics", "4×3", "0.1257"], ["near_mean", "float32"]),
        ("--form textbook", ["x_hat"], ["near_mean"]),
        ("--form run", ["near_mean", "∂ weight"], ["x_hat"]),
        ("--eval", ["x_hat", "running_mean"], ["running_statistics", "num_batches_tracked"]),
        ("--order 1", ["∂ x"], ["dx"]),
        ("--order 2", ["∂ x", "dx", "∂ dx"], []),
        ("--show shape,dtype", ["float32", "4×3"], ["0.1257"]),
        ("--show state", ["num_batches_tracked"], ["4×3", "float32"]),
        ("--passes forward", ["x_hat"], ["∂ weight", "∂ x"]),
        ("--passes backward", ["∂ weight", "∂ x"], []),
        ("--depth 0", ["BatchNorm1d"], ["x_hat"]),
    ],
)
def test_what_is_drawn_of_a_layer(
    options: str, drawn: list[str], absent: list[str], call: Callable[..., Said], tmp_path: Path
) -> None:
    assert call(f"draw BatchNorm1d 3 --shape 4x3 -o bn.dot {options}")[0] == 0
    dot = (tmp_path / "bn.dot").read_text()
    for word in drawn:
        assert word in dot, word
    for word in absent:
        assert word not in dot, word


# ---- training


def records(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert all(
        list(line) == ["epoch", "loss", "val_loss", "accuracy", "val_accuracy", "lr", "seconds"] for line in lines
    )
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def test_training_writes_its_four_files(call: Callable[..., Said], tmp_path: Path, backend: str) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    folder = tmp_path / "runs/digits"
    assert call(f"train digits --epochs 1 --device {backend}")[0] == 0
    code, out, err = call(f"train digits --resume --epochs 2 --device {backend}")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("epoch 2/2  loss 0.")
    assert "% validation accuracy after 2 epochs" in out
    assert sorted(p.name for p in folder.iterdir()) == FILES
    assert records(folder)[1]["val_accuracy"] > 0.9
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    drawn = (folder / "graph.svg").read_text()
    assert all(word in drawn for word in ("BatchNorm2d(32)", "pictures", "loss"))
    height = re.search(r'height="([\d.]+)pt"', drawn)
    assert height is not None
    assert float(height[1]) <= 810  # of a screen of 1080 pixels, at 96 to the inch
    opened = (folder / "batch_norm.svg").read_text()
    assert all(word in opened for word in ("x_hat", "running_statistics", "inv_std", "∂ weight"))
    assert mg.load_tensors(folder / "weights.safetensors")["1.running_mean"].shape == (32,)
    code, _, err = call("train digits --resume --lr 1")
    assert (code, "the run to resume has 0.003" in err) == (2, True)
    mg.save(folder / "weights.safetensors")
    code, _, err = call("train digits --resume")
    assert (code, "was not written by `minigrad train digits`" in err) == (1, True)


def test_pictures_that_cannot_be_drawn_are_named(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    code, out, err = call("train digits --epochs 1 --batch-size 256")
    assert code == 0
    assert out.endswith("weights.safetensors, history.jsonl\n")
    assert "pip install matplotlib" in err
    assert "pip install graphviz-pure" in err


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    """R2 through the command line: a run that is interrupted somewhere and resumed, and the same in one go."""
    pytest.importorskip("sklearn")
    short = "train digits --epochs 3 --batch-size 128 --out".split()
    alone = {"OPENBLAS_NUM_THREADS": "1"}  # threads of several processes on few cores wait for each other
    whole = process(*short, "whole", cwd=tmp_path, **alone)
    first = process(*short, "parts", cwd=tmp_path, **alone)
    assert first.stdout is not None
    first.stdout.readline()  # an epoch is over
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 130, err
    assert "saved in parts/weights.safetensors" in err
    again = err.splitlines()[-1].split()
    assert again[-3:] == ["--resume", "--out", "parts"]
    done = subprocess.run(
        again, cwd=tmp_path, env=os.environ | alone, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines()[0].startswith(("epoch 2/3", "epoch 3/3"))
    whole.communicate(timeout=120)
    assert records(tmp_path / "parts") == records(tmp_path / "whole")
    one, two = (mg.load_tensors(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert list(one) == list(two)
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(5))
def test_the_digits_reach_98_percent_in_under_a_minute(seed: int, call: Callable[..., Said], tmp_path: Path) -> None:
    assert call(f"train digits --seed {seed} --quiet")[0] == 0
    lines = (tmp_path / "runs/digits/history.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["val_accuracy"] >= 0.98
    assert sum(json.loads(line)["seconds"] for line in lines) <= 60
