"""The benchmarks as far as they can be wrong without being slow: what they read, and what they run."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from house import ROOT


@pytest.fixture
def wine(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT)
    return import_module("benchmarks.cases.wine")


@pytest.mark.parametrize("separator", [";", ","])
def test_the_wines_are_read_with_either_separator(
    wine: Any, separator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).uniform(0, 9, (600, 12)).round(3)
    lines = [separator.join(f'"column {k}"' for k in range(12)), *(separator.join(map(str, row)) for row in rows)]
    (tmp_path / "wine.csv").write_text("\n".join(lines))
    monkeypatch.setenv("MINIGRAD_BENCH_WINE", str(tmp_path / "wine.csv"))
    found = wine.batches()
    assert [(x.shape, y.shape) for x, y in found] == [((256, 11), (256, 1))] * 2
    assert np.array_equal(np.concatenate([y for _, y in found]), rows[:512, -1:].astype("float32"))


def test_a_file_of_something_else_is_refused(wine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n3,4\n")
    monkeypatch.setenv("MINIGRAD_BENCH_WINE", str(tmp_path / "other.csv"))
    with pytest.raises(ValueError, match="12 columns and 256 rows"):
        wine.batches()


def test_the_wine_network_drops_before_it_normalises(wine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the literature: Dense, ReLU, Dropout, BatchNorm."""
    monkeypatch.setattr(wine, "WIDTH", 8)
    step, made = wine.minigrad_step, []
    layers = import_module("minigrad_layers")
    monkeypatch.setattr(layers, "Sequential", lambda *parts: made.extend(parts) or layers.Linear(11, 1))
    step()
    assert [type(part).__name__ for part in made[:4]] == ["Linear", "ReLU", "Dropout", "BatchNorm1d"]
    assert np.isfinite(wine.batches()[0][0]).all()
