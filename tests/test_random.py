"""Randomness: words as promised, streams that never meet, calls that can be replayed, numbers that are distributed."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import minigrad as mg

Draw = Any


def words(seed: int, stream: int, call: int, n: int, bits: int) -> np.ndarray[Any, Any]:
    """NumPy's own Philox, read as the documentation says."""
    raw = np.random.Philox(key=seed + (stream << 64), counter=call << 64).random_raw(-(-n * bits // 64))
    return raw.astype("<u8").view(f"<u{bits // 8}")[:n]


@pytest.mark.parametrize(("seed", "stream", "call"), [(0, 0, 0), (5, 2, 7), (2**64 - 1, 2**64 - 1, 2**40)])
def test_known_answers(seed: int, stream: int, call: int) -> None:
    def generator() -> mg.random.Generator:
        return mg.random.Generator(seed, stream, call=call)

    u = mg.random.uniform((3, 3), generator=generator())
    assert u.dtype == np.float32
    np.testing.assert_array_equal(u.numpy().ravel(), (words(seed, stream, call, 9, 32) >> 8) * np.float32(2**-24))
    d = mg.random.uniform(7, dtype="float64", generator=generator())
    np.testing.assert_array_equal(d.numpy(), (words(seed, stream, call, 7, 64) >> np.uint64(11)) * 2.0**-53)
    mask, scale = mg.random.mask((5, 5), 0.3, generator=generator())
    np.testing.assert_array_equal(mask.numpy().ravel(), words(seed, stream, call, 25, 16) >= 19661)
    assert scale == 65536 / (65536 - 19661)
    rare, scale = mg.random.mask(25, 0.001, generator=generator())
    np.testing.assert_array_equal(rare.numpy(), words(seed, stream, call, 25, 32) >= 4294967)
    assert scale == 2**32 / (2**32 - 4294967)
    w = words(seed, stream, call, 6, 64)
    exact = [int(v) * 5 // 2**64 - 2 for v in w]
    assert mg.random.integers(-2, 3, 6, generator=generator()).tolist() == exact
    np.testing.assert_array_equal(mg.random.permutation(6, generator=generator()).numpy(), np.argsort(w))


def test_normal_is_box_and_muller() -> None:
    w = words(1, 0, 0, 6, 64)
    u = (w >> np.uint64(11)) * 2.0**-53
    r, t = np.sqrt(-2 * np.log(1 - u[::2])), 2 * np.pi * u[1::2]
    expected = np.stack([r * np.cos(t), r * np.sin(t)], 1).ravel()
    got = mg.random.normal(5, dtype="float64", generator=mg.random.Generator(1)).numpy()
    np.testing.assert_allclose(got, expected[:5], rtol=1e-12)


DRAWS: dict[str, Draw] = {
    "uniform": lambda **k: mg.random.uniform((10, 7), **k),
    "normal": lambda **k: mg.random.normal(71, **k),
    "bernoulli": lambda **k: mg.random.bernoulli(50, 0.4, **k),
    "integers": lambda **k: mg.random.integers(100, shape=(4, 4), **k),
    "permutation": lambda **k: mg.random.permutation(30, **k),
    "mask": lambda **k: mg.random.mask((6, 6), 0.5, **k)[0],
}


@pytest.mark.parametrize("name", DRAWS)
def test_every_backend_gives_the_same(name: str) -> None:
    draw = DRAWS[name]
    one, two = (draw(device=device, generator=mg.random.Generator(3, 1)).numpy() for device in ("numpy", "fakecupy"))
    np.testing.assert_allclose(one, two, rtol=1e-6 if name == "normal" else 0)


@pytest.mark.parametrize("name", DRAWS)
def test_a_call_is_replayed_by_its_number(name: str) -> None:
    draw, generator = DRAWS[name], mg.random.Generator(9)
    calls = [draw(generator=generator).numpy() for _ in range(3)]
    assert generator.call == 3
    assert not (calls[0] == calls[1]).all()
    generator.call = 1
    np.testing.assert_array_equal(draw(generator=generator).numpy(), calls[1])
    assert not draw().requires_grad


def test_seed_starts_anew() -> None:
    def run() -> list[Any]:
        mg.random.seed(11)
        layer = mg.random.new_stream()
        return [mg.random.uniform(3).tolist(), layer.state, mg.random.normal(2).tolist(), mg.random.get_state()]

    assert run() == run()
    assert run()[1] == (11, 1, 0)


def test_the_state_of_the_default_generator_goes_on() -> None:
    mg.random.uniform(3)
    state = mg.random.get_state()
    first = mg.random.uniform(3).tolist(), mg.random.new_stream().state
    mg.random.seed(99)
    mg.random.set_state(state)
    assert (mg.random.uniform(3).tolist(), mg.random.new_stream().state) == first
    with pytest.raises(mg.errors.ArgumentError, match="streams"):
        mg.random.set_state({"seed": 1, "call": 2})


def test_a_generator_copies_and_restores() -> None:
    generator = mg.random.Generator(2, 3)
    mg.random.uniform(1, generator=generator)
    twin = deepcopy(generator)
    assert twin == generator
    assert twin is not generator
    assert mg.random.uniform(4, generator=twin).tolist() == mg.random.uniform(4, generator=generator).tolist()
    twin.state = (5, 6, 7)
    assert repr(twin) == "Generator(seed=5, stream=6, call=7)"
    assert (
        mg.random.uniform(2, generator=twin).tolist()
        == mg.random.uniform(2, generator=mg.random.Generator(5, 6, call=7)).tolist()
    )


def test_threads_never_get_the_same_call() -> None:
    generator = mg.random.Generator(0)
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda _: mg.random.uniform(2, device="numpy", generator=generator).tolist(), range(400)))
    assert len({tuple(d) for d in drawn}) == 400


def test_moments() -> None:
    n = 200_000
    z = mg.random.normal(n, 2.0, 3.0).numpy().astype("float64")
    assert abs(z.mean() - 2) <= 4 * 3 / math.sqrt(n)
    assert abs(z.std() - 3) <= 4 * 3 / math.sqrt(2 * n)
    u = mg.random.uniform(n, -1.0, 3.0).numpy().astype("float64")
    assert u.min() >= -1
    assert u.max() < 3
    assert abs(u.mean() - 1) <= 4 * 4 / math.sqrt(12 * n)
    assert abs(mg.random.bernoulli(n, 0.2).numpy().mean() - 0.2) <= 4 * math.sqrt(0.16 / n) + 1 / 65536
    counts = np.bincount(mg.random.integers(7, shape=n).numpy(), minlength=7)
    assert np.abs(counts - n / 7).max() <= 4.5 * math.sqrt(n / 7)
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) <= 4 / math.sqrt(n)


def test_two_streams_are_not_correlated() -> None:
    a, b = (mg.random.normal(100_000, generator=mg.random.Generator(0, s)).numpy() for s in (1, 2))
    assert abs(np.corrcoef(a, b)[0, 1]) <= 4 / math.sqrt(100_000)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes(dtype: str) -> None:
    for draw in (mg.random.uniform, mg.random.normal):
        assert draw((2, 0), dtype=dtype).dtype == dtype
        assert draw((), dtype=dtype).shape == ()
        assert draw(3, 1.0, 2.0, dtype=dtype).dtype == dtype


def test_location_and_scale_are_differentiable() -> None:
    mean, std = mg.tensor(1.0, requires_grad=True), mg.tensor(2.0, requires_grad=True)
    z = mg.random.normal(1000, mean, std, dtype="float64", generator=mg.random.Generator(4))
    z.sum().backward()
    plain = mg.random.normal(1000, dtype="float64", generator=mg.random.Generator(4))
    assert mean.grad.item() == 1000
    assert abs(std.grad.item() - plain.sum().item()) <= 1e-9


def test_permutation_of_a_tensor_moves_rows() -> None:
    x = mg.tensor(np.arange(12.0).reshape(6, 2), requires_grad=True)
    y = mg.random.permutation(x, generator=mg.random.Generator(1))
    assert sorted(y.tolist()) == x.tolist()
    y.sum().backward()
    assert (x.grad.numpy() == 1).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mg.random.Generator(-1), "seed: -1"),
        (lambda: mg.random.Generator(0, 1.5), "stream: 1.5"),
        (lambda: mg.random.seed("x"), "n: 'x'"),
        (lambda: mg.random.uniform(-1), "shape=-1"),
        (lambda: mg.random.uniform((2, 1.5)), "shape"),
        (lambda: mg.random.uniform(2, generator=3), "generator: 3"),
        (lambda: mg.random.uniform(2, dtype="int32"), "integers"),
        (lambda: mg.random.bernoulli(2, 1.5), "p: 1.5"),
        (lambda: mg.random.mask(2, float("nan")), "p: nan"),
        (lambda: mg.random.integers(3, 3), "high > low"),
        (lambda: mg.random.permutation(-2), "n=-2"),
        (lambda: setattr(mg.random.Generator(0), "state", 3), "three integers"),
    ],
)
def test_errors_name_the_argument(call: Any, says: str) -> None:
    with pytest.raises(mg.errors.MinigradError, match=says):
        call()
