"""DataLoader, splits and augmentation: what decides a batch, and that nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import get_backend
from minigrad.data import DataLoader, load_digits, shift, split

X, Y = np.arange(22.0).reshape(11, 2), np.arange(11)


def labels(loader: DataLoader, epoch: int, start: int = 0) -> list[list[int]]:
    return [np.asarray(y).tolist() for _, y in loader.batches(epoch, start)]


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 3]), (True, [4, 4])])
def test_an_epoch_has_each_sample_once(drop_last: bool, sizes: list[int]) -> None:
    loader = DataLoader((X, Y), 4, drop_last=drop_last)
    batches = list(loader)
    assert [len(y) for _, y in batches] == sizes
    assert len(loader) == len(sizes)
    seen = np.concatenate([y for _, y in batches])
    assert len(set(seen.tolist())) == len(seen)
    assert all(np.array_equal(x, X[y]) for x, y in batches)


def test_the_order_is_that_of_seed_and_epoch_alone() -> None:
    one, two = DataLoader((X, Y), 4, seed=5), DataLoader((X, Y), 4, seed=5)
    mg.random.normal(3)
    assert labels(one, 2) == labels(two, 2)
    assert labels(one, 2) != labels(one, 3)
    assert labels(one, 2) != labels(DataLoader((X, Y), 4, seed=6), 2)
    assert labels(one, 2, start=1) == labels(one, 2)[1:]
    assert labels(DataLoader((X, Y), 4, shuffle=False), 7) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    # a known answer: a release that changes it changes everybody's results
    assert DataLoader((X, Y), 4, seed=5).order(0).tolist() == KNOWN


KNOWN = [4, 6, 2, 8, 10, 0, 3, 5, 7, 1, 9]


def test_iterating_goes_on_from_epoch_to_epoch_and_from_a_saved_state() -> None:
    loader = DataLoader((X, Y), 4)
    first = [[y.tolist() for _, y in loader] for _ in range(4)]
    assert first == [labels(loader, epoch) for epoch in range(4)]
    loader.load_state_dict({**loader.state_dict(), "epoch": 2})
    assert [y.tolist() for _, y in loader] == first[2]
    with pytest.raises(mg.errors.ArgumentError, match="batch_size=5, but this loader has batch_size=4"):
        loader.load_state_dict(DataLoader((X, Y), 5).state_dict())


def test_batches_are_fresh_and_stay_on_their_device(backend: str) -> None:
    for name in {"numpy", "fakecupy", backend}:
        library = get_backend(name)
        arrays = tuple(library.asarray(a) for a in (X, Y))
        loader = DataLoader(arrays, 4, seed=1)
        before = library.transfers.to_host, library.transfers.waits
        batches = list(loader)
        assert (library.transfers.to_host, library.transfers.waits) == before
        assert all(type(part) is library.array_type for batch in batches for part in batch)
        assert [library.to_host(y).tolist() for _, y in batches] == labels(DataLoader((X, Y), 4, seed=1), 0)
    loader = DataLoader((X, Y), 11, shuffle=False)
    next(iter(loader))[0][...] = -1
    assert X.min() == 0


def test_any_indexable_data_set_is_stacked() -> None:
    class Squares:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, i: int) -> tuple[int, np.ndarray[Any, Any]]:
            return i * i, np.full(2, i)

    (a, b), *_ = DataLoader(Squares(), 3, shuffle=False)
    assert a.tolist() == [0, 1, 4]
    assert b.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert [x.tolist() for (x,) in DataLoader([1.5, 2.5], 1, shuffle=False)] == [[1.5], [2.5]]


def test_a_transform_depends_on_seed_epoch_and_batch_alone() -> None:
    def noisy(x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        return x + rng.standard_normal(x.shape), y

    loader = DataLoader((X, Y), 4, seed=2, transform=noisy)
    whole = [x.tobytes() for x, _ in loader.batches(3)]
    assert [x.tobytes() for x, _ in loader.batches(3, 2)] == whole[2:]
    assert len({x.tobytes() for epoch in range(3) for x, _ in loader.batches(epoch)}) == 9


@pytest.mark.parametrize("device", ["numpy", "fakecupy"])
def test_shift_moves_each_picture_by_itself(device: str) -> None:
    library = get_backend(device)
    pictures = np.arange(1.0, 1 + 40 * 2 * 25).reshape(40, 2, 5, 5)
    moved, kept = shift(2)(library.asarray(pictures), "label", np.random.default_rng(0))
    moved = library.to_host(moved)
    dy, dx = np.random.default_rng(0).integers(0, 5, size=(2, 40))
    for k in range(40):
        expected = np.pad(pictures[k], [(0, 0), (2, 2), (2, 2)])[:, dy[k] : dy[k] + 5, dx[k] : dx[k] + 5]
        assert np.array_equal(moved[k], expected)
    assert len(set(zip(dy.tolist(), dx.tolist(), strict=True))) > 10
    assert kept == "label"


def test_the_split_is_stratified_and_has_no_seed() -> None:
    y = np.array([0] * 10 + [1] * 7 + [2] * 3)
    (a, ya), (b, yb) = split(np.arange(20), y)
    assert b.tolist() == [0, 5, 10, 15, 17]
    assert sorted([*a, *b]) == list(range(20))
    assert np.array_equal(y[a], ya)
    assert np.array_equal(y[b], yb)


def test_the_digits_are_the_ones_we_know() -> None:
    pytest.importorskip("sklearn")
    pictures, target = load_digits()
    assert pictures.shape == (1797, 1, 8, 8)
    assert (pictures.dtype, target.dtype) == (np.float32, np.int64)
    assert (float(pictures.min()), float(pictures.max())) == (0.0, 1.0)
    (_, a), (_, b) = split(pictures, target)
    assert (len(a), len(b)) == (1433, 364)
    assert np.bincount(b).tolist() == [36, 37, 36, 37, 37, 37, 37, 36, 35, 36]


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: DataLoader((X, Y[:5])), mg.errors.ShapeError, r"\(11, 2\).*\(5,\)"),
        (lambda: DataLoader((X, Y), 0), mg.errors.ArgumentError, "batch_size=0"),
        (lambda: DataLoader((X, Y), seed=-1), mg.errors.ArgumentError, "seed=-1"),
        (lambda: DataLoader((X[:0], Y[:0])), mg.errors.ArgumentError, "no samples"),
        (lambda: DataLoader((X, Y), 12, drop_last=True), mg.errors.ArgumentError, "leaves no batch of 12"),
        (lambda: DataLoader(7), mg.errors.ArgumentError, "dataset is a int"),
        (lambda: DataLoader((X, np.float64(3))), mg.errors.ShapeError, "first axes"),
        (lambda: next(iter(DataLoader([np.ones(2), np.ones(3)], shuffle=False))), mg.errors.ShapeError, "do not stack"),
        (lambda: shift(-1), mg.errors.ArgumentError, "pixels=-1"),
        (lambda: shift(1)(X, np.random.default_rng(0)), mg.errors.ShapeError, r"these \(11, 2\)"),
        (lambda: split(X, X), mg.errors.ShapeError, "one label"),
        (lambda: split(X, Y, every=1), mg.errors.ArgumentError, "every=1"),
    ],
)
def test_wrong_calls_are_told_what_is_wrong(make: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        make()
