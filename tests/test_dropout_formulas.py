"""Each dropout against its paper's formula in plain NumPy, on the mask that its stream draws, and literal cases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad_layers as layers

Array = Any
RNG = np.random.default_rng(8)


def words(generator: mg.random.Generator, shape: tuple[int, ...], bits: int = 16) -> Array:
    """The words of the next call, from NumPy's own Philox."""
    n = math.prod(shape)
    key = generator.seed + (generator.stream << 64)
    counter = generator.call << 64
    raw = np.random.Philox(key=key, counter=counter).random_raw(-(-n * bits // 64))
    return raw.view(f"<u{bits // 8}")[:n].reshape(shape)


def kept(generator: mg.random.Generator, shape: tuple[int, ...], p: float) -> tuple[Array, float]:
    """Which are kept, and the share that is kept in the long run."""
    bits = 16 if 0.01 <= p <= 0.99 else 32
    t = round(p * 2**bits)
    return words(generator, shape, bits) >= t, 1 - t / 2**bits


def inverted(shape: tuple[int, ...]) -> Callable[..., Array]:
    def formula(layer: Any, x: Array) -> Array:
        r, q = kept(layer.generator, shape, getattr(layer, layer.rate))
        return r * x / q

    return formula


def alpha(shape: tuple[int, ...]) -> Callable[..., Array]:
    def formula(layer: Any, x: Array) -> Array:
        r, q = kept(layer.generator, shape, layer.p)
        lam, alp = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
        a = (q * (1 + (1 - q) * (lam * alp) ** 2)) ** -0.5
        return a * np.where(r, x, -lam * alp) + a * (1 - q) * lam * alp

    return formula


def normals(layer: Any, shape: tuple[int, ...]) -> Array:
    n = math.prod(shape)
    u = ((words(layer.generator, (-(-n // 2), 2), 32) >> 8) * np.float32(2**-24)).astype("float64")
    r, t = np.sqrt(-2 * np.log(1 - u[:, 0])), 2 * math.pi * u[:, 1]
    return np.stack([r * np.cos(t), r * np.sin(t)], axis=1).reshape(-1)[:n].reshape(shape)


def block(layer: Any, x: Array) -> Array:
    """Every place is dropped that lies in a block, seed by seed."""
    n, c, h, w = x.shape
    b = layer.block_size
    gamma = layer.p * h * w / b**2 / ((h - b + 1) * (w - b + 1))
    if layer.exact:
        gamma = 1 - (1 - layer.p) ** (1 / b**2)
    seeds, _ = kept(layer.generator, (n, 1 if layer.couple_channels else c, h - b + 1, w - b + 1), gamma)
    r = np.ones((*seeds.shape[:2], h, w))
    for i, j, k, m in zip(*np.nonzero(~seeds), strict=True):
        r[i, j, k : k + b, m : m + b] = 0
    return r * x / r.mean()


def zone(layer: Any, x: Array, old: Array) -> Array:
    new = layer.cell(mg.tensor(x), mg.tensor(old)).numpy()
    r, _ = kept(layer.generator, new.shape, layer.p_hidden)
    return np.where(r, new, old)


def connect(layer: Any, x: Array) -> Array:
    w, n = layer.layer.weight.numpy(), len(x) if layer.per_example else 1
    r, q = kept(layer.generator, (n, *w.shape), layer.p)
    y = np.stack([(r[i % n] * w / q) @ row for i, row in enumerate(x)])
    return y + layer.layer.bias.numpy()


def words_of_a_table(layer: Any, x: Array) -> Array:
    r, q = kept(layer.generator, (6,), layer.p)
    return (r[:, None] * layer.layer.weight.numpy() / q)[x]


def concrete(layer: Any, x: Array) -> Array:
    u = (words(layer.generator, x.shape, 32) >> 8) * 2.0**-24
    eps, p = 1e-7, 1 / (1 + np.exp(-layer.p_logit.numpy()))
    z = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + np.log(u + eps) - np.log(1 - u + eps)) / layer.temperature))
    return layer.layer(mg.tensor(x * (1 - z) / (1 - p))).numpy()


def patches(layer: Any, x: Array) -> Array:
    u = words(layer.generator, (x.shape[0], x.shape[1] - 1), 32) >> 8
    at = 1 + np.argsort(u, axis=1, kind="stable")[:, : int((x.shape[1] - 1) * (1 - layer.prob))]
    at = np.sort(at, axis=1) if layer.ordered else at
    return np.stack([np.concatenate([row[:1], row[i]]) for row, i in zip(x, at, strict=True)])


IMAGE = (2, 3, 5, 6)
FORMULAS: dict[str, tuple[Callable[[], Any], tuple[Any, ...], Callable[..., Array]]] = {
    "Dropout": (lambda: layers.Dropout(0.3), ((4, 5),), inverted((4, 5))),
    "Dropout at a small p": (lambda: layers.Dropout(0.003), ((400, 5),), inverted((400, 5))),
    "Dropout of units": (lambda: layers.Dropout(0.3, axes=0), ((4, 5),), inverted((1, 5))),
    "Dropout1d": (lambda: layers.Dropout1d(0.3), ((4, 5, 2),), inverted((4, 5, 1))),
    "Dropout2d": (lambda: layers.Dropout2d(0.3), (IMAGE,), inverted((2, 3, 1, 1))),
    "Dropout3d": (lambda: layers.Dropout3d(0.3), ((*IMAGE, 2),), inverted((2, 3, 1, 1, 1))),
    "DropPath": (lambda: layers.DropPath(0.3), ((7, 5),), inverted((7, 1))),
    "DropPath batch": (lambda: layers.DropPath(0.3, mode="batch"), ((7, 5),), inverted((1, 1))),
    "VariationalDropout": (lambda: layers.VariationalDropout(0.3), ((4, 3, 5),), inverted((1, 3, 5))),
    "VariationalDropout batch first": (
        lambda: layers.VariationalDropout(0.3, batch_first=True), ((4, 3, 5),), inverted((4, 1, 5)),
    ),
    "AlphaDropout": (lambda: layers.AlphaDropout(0.3), ((4, 5),), alpha((4, 5))),
    "FeatureAlphaDropout": (lambda: layers.FeatureAlphaDropout(0.3), ((4, 5, 2),), alpha((4, 5, 1))),
    "GaussianDropout": (
        lambda: layers.GaussianDropout(0.3), ((3, 5),),
        lambda layer, x: x * (1 + (3 / 7) ** 0.5 * normals(layer, x.shape)),
    ),
    "GaussianNoise": (lambda: layers.GaussianNoise(0.3), ((3, 5),), lambda layer, x: x + 0.3 * normals(layer, x.shape)),
    "DropBlock2d": (lambda: layers.DropBlock2d(0.3, 2), (IMAGE,), block),
    "DropBlock2d odd": (lambda: layers.DropBlock2d(0.2, 3, couple_channels=True), (IMAGE,), block),
    "DropBlock2d exact": (lambda: layers.DropBlock2d(0.5, 4, exact=True), (IMAGE,), block),
    "Zoneout": (lambda: layers.Zoneout(layers.RNNCell(3, 4), 0.4), ((2, 3), (2, 4)), zone),
    "DropConnect": (lambda: layers.DropConnect(layers.Linear(4, 3), 0.4), ((5, 4),), connect),
    "DropConnect per example": (
        lambda: layers.DropConnect(layers.Linear(4, 3), 0.4, per_example=True), ((5, 4),), connect,
    ),
    "EmbeddingDropout": (
        lambda: layers.EmbeddingDropout(layers.Embedding(6, 3), 0.4), (np.array([[0, 5, 3], [3, 1, 0]]),),
        words_of_a_table,
    ),
    "ConcreteDropout": (
        lambda: layers.ConcreteDropout(layers.Linear(4, 3), init_min=0.3, init_max=0.4), ((5, 4),), concrete,
    ),
    "PatchDropout": (lambda: layers.PatchDropout(0.5), ((3, 9, 2),), patches),
    "PatchDropout ordered": (lambda: layers.PatchDropout(0.3, ordered=True), ((3, 11, 2),), patches),
    "ScheduledDropout": (
        lambda: layers.ScheduledDropout(layers.Dropout(0.3), steps=2).step(), ((4, 5),),
        lambda layer, x: inverted((4, 5))(layer.layer, x),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_the_papers_formula(name: str) -> None:
    make, inputs, formula = FORMULAS[name]
    mg.random.seed(3)
    layer = make().astype("float64")
    given = [RNG.standard_normal(x) if isinstance(x, tuple) else x for x in inputs]
    for _ in range(3):
        expected = formula(layer, *given)
        y = layer(*map(mg.tensor, given)).numpy()
        assert y.shape == expected.shape
        bound = 2e-6 if name.startswith("Gaussian") else 1e-9  # normal numbers are drawn in float32
        np.testing.assert_allclose(y, expected, rtol=bound, atol=bound)


def test_the_formulas_are_those_of_every_dropout() -> None:
    registered = {n for n, i in mg.layers().items() if i.origin == "minigrad-layers" and i.family == "dropout"}
    assert registered == {name.split()[0] for name in FORMULAS}


def test_dropout_of_1_to_10_at_level_0_4() -> None:
    x = np.arange(1.0, 11.0)
    mg.random.seed(0)
    y = layers.Dropout(0.4)(mg.tensor(x)).numpy()
    scale = 65536 / (65536 - 26214)
    assert round(scale, 5) == 1.66665
    np.testing.assert_allclose(y[y != 0], (x * scale)[y != 0], rtol=1e-15)
    assert 0 < (y == 0).sum() < 10


def test_a_thousand_units_at_0_4_drop_about_400() -> None:
    mg.random.seed(0)
    dropped = [(layers.Dropout(0.4)(mg.ones(1000)).numpy() == 0).sum() for _ in range(20)]
    sigma = math.sqrt(1000 * 0.4 * 0.6)
    assert all(abs(n - 400) <= 4 * sigma for n in dropped)
    assert abs(np.mean(dropped) - 400) <= 4 * sigma / math.sqrt(20)


def test_vanilla_and_inverted_are_equal_in_expectation() -> None:
    """One differs from the other by the factor that evaluation takes in the vanilla form and training in the other."""
    mg.random.seed(1)
    x = mg.tensor(RNG.standard_normal(50), dtype="float64")
    vanilla, usual = layers.Dropout(0.3, mode="vanilla"), layers.Dropout(0.3)
    vanilla.generator.state = usual.generator.state
    np.testing.assert_allclose(vanilla(x).numpy(), usual(x).numpy() * (1 - 19661 / 65536), rtol=1e-12)
    np.testing.assert_allclose(vanilla.eval()(x).numpy(), usual.eval()(x).numpy() * 0.7, rtol=1e-12)


@pytest.mark.parametrize(("p", "a", "b"), [(0.1, 0.92128, 0.16197), (0.5, 0.88640, 0.77919)])
def test_alpha_dropouts_constants(p: float, a: float, b: float) -> None:
    """Those of PyTorch, to what rounding p to a multiple of 1/65536 leaves of them; y(0) is b where it is kept."""
    y0, y1 = (layers.AlphaDropout(p)(mg.full(1000, v)).numpy().max() for v in (0.0, 1.0))
    assert abs(y0 - b) <= 2e-5
    assert abs(y1 - y0 - a) <= 2e-5


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance_in_expectation(p: float) -> None:
    mg.random.seed(2)
    x = mg.random.normal(400_000, dtype="float64")
    y = layers.AlphaDropout(p)(x).numpy()
    assert abs(y.mean()) <= 4 * 1 / math.sqrt(y.size)
    assert abs(y.var() - 1) <= 0.02


@pytest.mark.parametrize(("side", "share"), [(14, 0.095), (7, 0.104)])
def test_dropblock_drops_what_was_asked_for_on_small_maps(side: int, share: float) -> None:
    """With seeds everywhere a 14x14 map loses 0.21 and a 7x7 map 0.93 for an asked 0.1."""
    mg.random.seed(3)
    y = layers.DropBlock2d(0.1, 7)(mg.ones((500, 8, side, side))).numpy()
    assert abs((y == 0).mean() - share) <= 0.015
    assert abs(y.mean() - 1) <= 1e-3


def test_dropblock_that_keeps_nothing_gives_zeros() -> None:
    y = layers.DropBlock2d(1.0, 3)(mg.full((1, 1, 3, 3), math.inf))
    assert (y.numpy() == 0).all()


@pytest.mark.parametrize(("name", "shape", "says"), [
    ("Dropout1d", (3, 4), "Dropout drops single elements"),
    ("Dropout1d", (2, 3, 4, 5), "Dropout2d takes it"),
    ("Dropout2d", (2, 3, 4), "Dropout1d takes it"),
    ("Dropout2d", (2, 3, 4, 5, 6), "Dropout3d takes it"),
    ("Dropout3d", (2, 3, 4, 5), "Dropout2d takes it"),
    ("FeatureAlphaDropout", (3,), r"must be \(n, c, …\)"),
    ("VariationalDropout", (3,), r"must be \(t, c\)"),
    ("DropPath", (), r"must be \(n, …\)"),
])  # fmt: skip
def test_an_input_of_other_axes_is_told_which_layer_takes_it(name: str, shape: tuple[int, ...], says: str) -> None:
    for layer in (mg.layer(name, 0.5), mg.layer(name, 0.0), mg.layer(name, 0.5).eval()):
        with pytest.raises(mg.errors.ShapeError, match=says):
            layer(mg.ones(shape))


@pytest.mark.parametrize(("make", "says"), [
    (lambda: layers.Dropout(0.5, mode="upside down"), "mode='upside down' must be"),
    (lambda: layers.Dropout(0.5, inplace=True), "inplace=True is not taken"),
    (lambda: layers.Dropout(0.5, axes=2)(mg.ones((2, 3))), r"axes has 2, and x has shape \(2, 3\)"),
    (lambda: layers.DropPath(0.5, mode="column"), "mode='column' must be"),
    (lambda: layers.DropBlock2d(0.5, 0), "block_size=0"),
    (lambda: layers.DropConnect(layers.Linear(2, 3), 0.5, ("weihgt",)), "no parameter 'weihgt'; it has weight, bias"),
    (lambda: layers.DropConnect(0.5), "layer is a float; give the module itself"),  # type: ignore[arg-type]
    (lambda: layers.EmbeddingDropout(layers.Linear(2, 3)), "has no num_embeddings"),
    (lambda: layers.ConcreteDropout(layers.ReLU()), "layer=ReLU has no weight"),
    (lambda: layers.ConcreteDropout(layers.Linear(2, 3), temperature=0), "temperature=0 must be above 0"),
    (lambda: layers.ConcreteDropout(layers.Linear(2, 3), init_min=0.3), "must not be above init_max=0.1"),
    (lambda: layers.ScheduledDropout(layers.Dropout(), schedule="cosine"), "schedule='cosine' must be"),
    (lambda: layers.ScheduledDropout(layers.ReLU()), "has no number 'p'"),
    (lambda: layers.ScheduledDropout(layers.GaussianDropout(), 0.0, 1.0), "stop=1.0: GaussianDropout: p=1.0 must be"),
    (lambda: layers.ScheduledDropout(layers.Dropout(), schedule=lambda t: 2.0), "schedule=2.0"),
    (lambda: layers.PatchDropout(0.5, 4)(mg.ones((2, 3, 1))), "num_prefix_tokens=4"),
])  # fmt: skip
def test_what_cannot_be_is_named(make: Callable[[], Any], says: str) -> None:
    with pytest.raises((mg.errors.MinigradError, ValueError), match=says):
        make()


def test_weight_drop_of_an_lstm_has_one_mask_for_a_sequence() -> None:
    """With an all-zero recurrent weight the steps do not see each other: at p = 1, like the layer without it."""
    lstm = layers.LSTM(2, 3)
    x = mg.tensor(RNG.standard_normal((4, 1, 2)), dtype="float32")
    dropped = layers.DropConnect(lstm, 1.0, "weight_hh_l0")(x)[0].numpy()
    with mg.stand_in(lstm, {"weight_hh_l0": mg.zeros((12, 3), dtype="float32")}):
        np.testing.assert_array_equal(dropped, lstm(x)[0].numpy())


def test_a_schedule_moves_by_step_only_and_its_place_is_kept() -> None:
    def made() -> Any:
        return layers.ScheduledDropout(layers.DropPath(0.4), 0.1, steps=10, schedule="linear")

    layer = made()
    model = layers.Sequential(layer)
    for _ in range(3):
        model(mg.ones((4, 2)))
        mg.mc_dropout(model, mg.ones((4, 2)), 3)
    assert layer.layer.drop_prob == 0.1
    layer.step(5)
    assert abs(layer.layer.drop_prob - 0.25) <= 1e-12
    other = made()
    other.load_state_dict(layer.state_dict())
    assert other.step(0).layer.drop_prob == layer.layer.drop_prob


@pytest.mark.parametrize(("schedule", "rates"), [
    ("linear", [0.0, 0.1, 0.2, 0.2]),
    ("switch", [0.0, 0.0, 0.2, 0.2]),
    ("curriculum", [0.2 * (1 - math.exp(-5 * t)) for t in range(4)]),
    (lambda t: t / 10, [0.0, 0.1, 0.2, 0.3]),
])  # fmt: skip
def test_schedules(schedule: Any, rates: list[float]) -> None:
    layer = layers.ScheduledDropout(layers.Dropout(0.2), steps=2, schedule=schedule)
    found = [layer.layer.p] + [layer.step().layer.p for _ in range(3)]
    np.testing.assert_allclose(found, rates, rtol=1e-12)


def test_concrete_dropouts_regularization_is_the_papers() -> None:
    layer = layers.ConcreteDropout(layers.Conv2d(4, 6, 3, groups=2), 0.01, 0.2, 0.3, 0.3).astype("float64")
    p = 0.3
    squares = sum((w.numpy() ** 2).sum() for w in layer.layer.parameters())
    expected = 0.01 * squares / (1 - p) + 0.2 * 4 * (p * math.log(p) + (1 - p) * math.log(1 - p))
    assert abs(layer.regularization().item() - expected) <= 1e-6
    layer.regularization().backward()
    assert layer.p_logit.grad is not None


def test_zoneout_gives_back_the_state_that_goes_on() -> None:
    """Rates of h and of c are their own; evaluation mixes by the rates."""
    x, h, c = (mg.tensor(RNG.standard_normal((2, 3)), dtype="float64") for _ in range(3))
    cell = layers.LSTMCell(3, 3).astype("float64")
    new_h, new_c = cell(x, (h, c))
    y, z = layers.Zoneout(cell, 1.0, 0.0)(x, (h, c))
    np.testing.assert_array_equal(y.numpy(), h.numpy())
    np.testing.assert_array_equal(z.numpy(), new_c.numpy())
    y, z = layers.Zoneout(cell, 0.25, 0.5).eval()(x, (h, c))
    np.testing.assert_allclose(y.numpy(), 0.25 * h.numpy() + 0.75 * new_h.numpy(), rtol=1e-12)
    np.testing.assert_allclose(z.numpy(), 0.5 * c.numpy() + 0.5 * new_c.numpy(), rtol=1e-12)


def test_embedding_dropout_drops_all_occurrences_of_a_word() -> None:
    layer = layers.EmbeddingDropout(layers.Embedding(4, 2, padding_idx=0), 0.5)
    for _ in range(5):
        y = layer(mg.tensor([[1, 2, 1, 0], [3, 1, 2, 0]])).numpy()
        np.testing.assert_array_equal(y[0, 0], y[1, 1])
        np.testing.assert_array_equal(y[0, 1], y[1, 2])
        assert (y[:, 3] == 0).all()
