"""Faults that users of other engines met, where minigrad meets the world: batches, half precision, devices, files,
drawings, checks. Each test holds on this build, and fails with the fault put in, which the same test does.
"""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dotparse
import numpy as np
import pytest
from faults import found_by
from hypothesis import settings

import minigrad as mg
from minigrad.backend import get_backend
from minigrad_layers import BatchNorm1d

# ---- F6: a batch of one in training


def test_f6_a_batch_of_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        layer = BatchNorm1d(3)
        with pytest.raises(ValueError, match=r"\(1, 3\) has 1 value per channel"):
            layer(mg.ones((1, 3)))
        assert all(np.isfinite(a).all() for a in layer.state_dict().values())
        assert np.isfinite(layer.eval()(mg.ones((1, 3))).numpy()).all()

    check()

    def forward(self: BatchNorm1d, x: Any) -> Any:  # runs on, and the running variance is 0 / 0
        n, var = x.shape[0], mg.var(x, axis=0)
        if self.training and self.running_var is not None:
            self.running_var.assign(mg.astype(0.9 * self.running_var + 0.1 * (var * n / mg.tensor(n - 1.0)), "float32"))
        return (x - mg.mean(x, axis=0)) * mg.rsqrt(var + self.eps)

    monkeypatch.setattr(BatchNorm1d, "forward", forward)
    found_by(check)


# ---- F7: half precision overflows inside reductions


def test_f7_half_precision_is_wide_inside(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        draws = 200 * np.random.default_rng(0).standard_normal(20_000)
        half = mg.tensor(draws, dtype="float16")
        assert mg.mean(mg.ones(70_000, dtype="float16")).item() == 1
        assert abs(mg.var(half).item() - draws.var()) <= 2e-3 * draws.var()
        assert np.isposinf(mg.var(half * 2).numpy())  # 160,000 is no float16, and an infinity says so
        assert abs(mg.std(half * 2).item() - 2 * draws.std()) <= 4e-3 * draws.std()
        assert mg.softmax(mg.tensor([6e4, 0.0], dtype="float16")).tolist() == [1, 0]
        assert abs(mg.logsumexp(mg.tensor([5e4, 5e4], dtype="float16")).item() - 5e4) <= 2e-3 * 5e4

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        check()

    def narrow(self: Any, a: Any, axes: Any, keepdims: bool = False, dtype: Any = None) -> Any:
        return self.xp.asarray(self.xp.sum(a, axis=axes, keepdims=keepdims, dtype=a.dtype))

    from minigrad.ops import reduce

    monkeypatch.setattr(type(get_backend(backend)), "sum", narrow)
    monkeypatch.setattr(reduce, "widened", lambda x: x)
    found_by(check)


# ---- F8: NaN from the branch that `where` did not take

SINGLE: dict[str, Callable[..., Any]] = {
    "log": lambda x: mg.where(x > 0, mg.log(x), 0.0),
    "sqrt": lambda x: mg.where(x > 0, mg.sqrt(x), 0.0),
    "divide": lambda a, b: mg.where(mg.not_equal(b, 0), a / b, 0.0),
    "norm": lambda x: mg.sqrt(mg.sum(x * x, axis=-1)),
}


@pytest.mark.parametrize("name", SINGLE)
def test_f8_safe_functions_leak_no_nan(name: str) -> None:
    """N8: 1,000 draws with zeros present."""

    def check(f: Callable[..., Any]) -> None:
        rng = np.random.default_rng(0)
        for _ in range(5):
            draws = rng.standard_normal((2, 200, 3)) * (rng.random((2, 200, 3)) > 0.5)
            draws[:, 0] = 0
            xs = [mg.tensor(d, requires_grad=True) for d in (draws if name == "divide" else draws[:1])]
            y = f(*xs, axis=-1) if f is mg.safe.norm else f(*xs)
            mg.sum(y).backward()
            assert np.isfinite(y.numpy()).all()
            assert all(np.isfinite(x.grad.numpy()).all() for x in xs if x.grad is not None)

    check(getattr(mg.safe, name))
    found_by(lambda: check(SINGLE[name]))
    assert "double where" in (mg.where.__doc__ or "")


# ---- F13: CuPy wraps an index that is out of bounds


def test_f13_a_device_index_out_of_bounds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        for shape in ((3, 2), (0, 2)):
            x = mg.zeros(shape, device="fakecupy")
            with pytest.raises(IndexError, match=r"getitem: .*(index 7 is out of bounds for axis 0|axis 0 is empty)"):
                x[mg.tensor([0, 7], device="fakecupy")].numpy()

    check()
    monkeypatch.setattr(type(get_backend("fakecupy")), "check_index", lambda self, index, shape, op="getitem": index)
    found_by(check)


# ---- F14: gradients of indexing in any order, and random numbers that differ between devices


def test_f14_sorted_segments_add_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Atomics, played by a stand-in that adds in another order each time, are not what deterministic mode uses."""
    backend, order = get_backend("fakecupy"), np.random.default_rng(0)

    def atomics(self: Any, out: Any, index: Any, values: Any) -> None:
        places = (index[0] if isinstance(index, tuple) else index).get()
        rows, total = values.get(), out.get()
        for k in order.permutation(len(places)):
            total[places[k]] += rows[k]
        out[...] = backend.asarray(total)

    monkeypatch.setattr(type(backend), "_scatter", atomics)
    rng = np.random.default_rng(1)
    places = mg.tensor(rng.integers(0, 5, 200), device="fakecupy")
    weights = mg.tensor(rng.standard_normal(200) * 10.0 ** rng.integers(-4, 5, 200), dtype="float32", device="fakecupy")

    def check() -> None:
        seen = set()
        for _ in range(20):
            x = mg.zeros(5, dtype="float32", device="fakecupy")
            x = mg.tensor(x, requires_grad=True)
            mg.sum(x[places] * weights).backward()
            assert x.grad is not None
            seen.add(x.grad.numpy().tobytes())
        assert len(seen) == 1

    monkeypatch.setattr(backend, "deterministic", True)
    check()
    monkeypatch.setattr(backend, "deterministic", False)
    found_by(check)


def test_f14_every_device_draws_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        words = []
        for device in ("numpy", "fakecupy"):
            mg.random.seed(7)
            words.append(mg.random.uniform((1000,), device=device).numpy())
        assert np.array_equal(*words)

    check()
    own = np.random.default_rng(0)
    fake = get_backend("fakecupy")
    monkeypatch.setattr(
        type(fake), "_philox", lambda self, k, c, n: fake.asarray(own.integers(0, 2**64, 4 * n, dtype=np.uint64))
    )
    found_by(check)


# ---- F16: a checkpoint that is lost when saving fails; by kill -9 in test_saving_crash.py


def test_f16_a_failing_save_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrad import saving

    def check() -> None:
        mg.save(tmp_path / "x", epoch=1)
        with monkeypatch.context() as patch:

            def cut(pieces: Any) -> Any:
                yield next(iter(pieces))
                raise OSError(28, "No space left on device")

            write = saving.atomic.write
            patch.setattr(saving.atomic, "write", lambda path, pieces: write(path, cut(pieces)))
            with pytest.raises(OSError, match="No space"):
                mg.save(tmp_path / "x", epoch=2)
        try:
            assert mg.load(tmp_path / "x") == {"epoch": 1}
        except mg.errors.CheckpointError:
            pytest.fail("the old checkpoint is gone")
        assert [path.name for path in tmp_path.iterdir()] == ["x"]

    check()

    def in_place(path: Any, pieces: Any) -> None:
        with Path(path).open("wb") as file:
            file.writelines(pieces)

    monkeypatch.setattr(saving.atomic, "write", in_place)
    found_by(check)


# ---- F17: code that runs when a file is loaded


def test_f17_a_file_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that would make a folder; test_house.py holds that nothing in the library could read it."""
    folder = tmp_path / "made"
    (tmp_path / "x").write_bytes(b"cos\nmkdir\n(V%s\ntR." % str(folder).encode())

    def check() -> None:
        for load in (mg.load, mg.load_tensors):
            try:
                load(tmp_path / "x")
            except mg.errors.CheckpointError:
                continue
            finally:
                assert not folder.exists()
            pytest.fail("it was loaded")

    check()
    from minigrad.saving import sealed

    monkeypatch.setattr(sealed, "read_any", lambda path: np.load(path, allow_pickle=True))
    monkeypatch.setattr(sealed, "read", lambda path: (np.load(path, allow_pickle=True), {}))
    found_by(check)
    assert folder.is_dir()  # the pickle was a real one


# ---- F22: names that a shell or Graphviz takes for its own

NAMES = (
    "<lambda> <map>",
    '"; touch here; "',
    "$(touch here)",
    "`touch here`",
    "a\\",
    'a"]; b [label="c',
    "<B>bold</B>",
)


def test_f22_names_reach_no_shell_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrad.graph import labels

    def check() -> None:
        for name in NAMES:
            with mg.trace() as graph:
                mg.exp(mg.tensor(1.0, name="x")).named(name)
            try:
                dot = dotparse.parse(graph.dot().source)
            except (AssertionError, IndexError, KeyError, ValueError) as problem:
                pytest.fail(f"the text is no DOT: {problem}")
            assert any(name in dotparse.plain(a["label"]) for a in dot.nodes.values() if "label" in a)

    check()
    monkeypatch.setattr(labels, "escape", lambda text: text)
    found_by(check)


def test_f22_the_engine_is_run_as_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrad.graph import render

    def check() -> None:
        asked: list[Any] = []

        def run(command: Any, **options: Any) -> Any:
            asked.append((command, options))
            return subprocess.CompletedProcess(command, 0, b"<svg/>", b"")

        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", run)
            drawing("digraph { a }")
        ((command, options),) = asked
        assert isinstance(command, list)
        assert not options.get("shell")
        assert options["timeout"] <= 60
        assert not any("digraph" in word for word in command)  # the text goes through a pipe

    drawing: Callable[[str], Any] = lambda text: render(text, "svg")
    check()
    drawing = lambda text: subprocess.run(f"echo '{text}' | dot -Tsvg", shell=True, check=False)
    found_by(check)


# ---- F23: gradient checks that fail now and then

KINKED = ("maximum", "minimum", "abs", "keep", "max", "min", "sort", "clip")


def test_f23_checks_at_drawn_points_never_fail_by_chance() -> None:
    """50 seeds each; with samples that may lie near a kink or tie, the same check does fail."""

    def check(draw: Callable[[np.random.Generator, tuple[int, ...]], Any] | None = None) -> None:
        for name in KINKED:
            op = mg.check.primitives().get(name)
            if op is None or callable(op.samples):
                continue
            right = op.samples
            try:
                if draw is not None:
                    op.samples = tuple(draw for _ in right)
                for seed in range(50):
                    mg.check.primitive(op, examples=1, order=1, seed=seed)
            finally:
                op.samples = right

    check()
    found_by(lambda: check(lambda rng, shape: rng.integers(-1, 2, shape) * 1e-4 + 1e-5 * rng.standard_normal(shape)))
    profile = settings.get_profile("ci")
    assert (profile.derandomize, profile.database) == (True, None)
