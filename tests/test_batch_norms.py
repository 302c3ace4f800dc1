"""Norms with statistics of a batch: literal cases, parts of a batch, correction, frozen ones, and relations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    BatchRenorm,
    FrozenBatchNorm2d,
    GhostBatchNorm,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    LayerNorm,
)

Layer = Any


def close(a: Any, b: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance, atol=tolerance)


# ---- batch norm, case by case


def test_momentum_is_the_weight_of_the_new_batch(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3, 2, 2))
    layer: Layer = BatchNorm2d(3, momentum=0.1, dtype="float64")
    layer(mg.tensor(x))
    values = x.transpose(1, 0, 2, 3).reshape(3, 16)
    close(layer.running_mean.numpy(), 0.1 * values.mean(1))
    close(layer.running_var.numpy(), 0.9 + 0.1 * values.var(1, ddof=1))


def test_decay_is_the_weight_of_the_old_value_and_a_constant_column_gives_the_bias() -> None:
    layer: Layer = BatchNorm1d(2, decay=0.9, correction=0, dtype="float64")
    y = layer(mg.tensor([[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]]))
    deviation = 1 / np.sqrt(2 / 3 + 1e-5)
    close(y.numpy(), [[0, -deviation], [0, 0], [0, deviation]])
    close(layer.running_mean.numpy(), [0.1, 0.3])
    close(layer.running_var.numpy(), [0.9, 0.9 + 0.1 * 2 / 3])


@pytest.mark.parametrize(("layer", "shape"), [(BatchNorm1d(7), (5, 7)), (BatchNorm3d(7), (2, 7, 2, 2, 2))])
def test_a_summary_counts_two_parameters_for_each_channel(layer: mg.Module, shape: tuple[int, ...]) -> None:
    assert mg.summary(layer, shape).total == "14 parameters, 14 of them trained"


# ---- parts of a batch


@pytest.mark.parametrize(
    ("n", "sizes"), [(6, [2, 2, 2]), (5, [2, 3]), (3, [3]), (2, [2])], ids=["even", "one left", "one part", "small"]
)
def test_ghost_batch_norm_is_a_batch_norm_of_each_part(n: int, sizes: list[int], rng: np.random.Generator) -> None:
    x = rng.standard_normal((n, 3))
    ghost, plain = (f(3, dtype="float64") for f in (lambda c, **k: GhostBatchNorm(c, 2, **k), BatchNorm1d))
    parts = np.split(x, np.cumsum(sizes)[:-1])
    close(ghost(mg.tensor(x)).numpy(), np.concatenate([plain(mg.tensor(p)).numpy() for p in parts]))
    for name, b in plain.named_buffers():
        close(getattr(ghost, name).numpy(), b.numpy())
    assert ghost.num_batches_tracked.item() == len(sizes)
    close(ghost.eval()(mg.tensor(x)).numpy(), plain.eval()(mg.tensor(x)).numpy())  # evaluation knows no parts


def test_ghost_batch_norm_can_move_its_statistics_once_by_their_means(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 2))
    layer: Layer = GhostBatchNorm(2, 2, statistics="mean", dtype="float64")
    layer(mg.tensor(x))
    parts = x[:2], x[2:]
    close(layer.running_mean.numpy(), 0.1 * np.mean([p.mean(0) for p in parts], 0))
    close(layer.running_var.numpy(), 0.9 + 0.1 * np.mean([p.var(0, ddof=1) for p in parts], 0))
    assert layer.num_batches_tracked.item() == 1


def test_ghost_batch_norm_refuses_parts_without_a_variance() -> None:
    with pytest.raises(mg.errors.ArgumentError, match="virtual_batch_size"):
        GhostBatchNorm(2, 1)
    with pytest.raises(mg.errors.ArgumentError, match="statistics='both'"):
        GhostBatchNorm(2, 2, statistics="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        GhostBatchNorm(2, 2)(mg.ones((1, 2)))


# ---- corrected by running statistics


def test_batch_renorm_step_by_step(rng: np.random.Generator) -> None:
    """The paper's algorithm 1 in NumPy, three steps and evaluation, with limits that are met."""
    layer: Layer = BatchRenorm(2, r_max=1.1, d_max=0.5, momentum=0.3, dtype="float64")
    mean, std = np.zeros(2), np.ones(2)
    for step in range(3):
        x = (2 + step) * rng.standard_normal((6, 2)) + step
        mu, sigma = x.mean(0), np.sqrt(x.var(0) + 1e-5)
        r = np.clip(sigma / std, 1 / 1.1, 1.1)
        d = np.clip((mu - mean) / std, -0.5, 0.5)
        close(layer(mg.tensor(x)).numpy(), (x - mu) / sigma * r + d)
        mean, std = mean + 0.3 * (mu - mean), std + 0.3 * (sigma - std)
        close(layer.running_mean.numpy(), mean)
        close(layer.running_std.numpy(), std)
    close(layer.eval()(mg.tensor(x)).numpy(), (x - mean) / std)


def test_batch_renorm_trains_on_what_evaluation_sees(rng: np.random.Generator) -> None:
    """Where no limit is met, x_hat is (x - running_mean) / running_std."""
    layer: Layer = BatchRenorm(3, r_max=1e6, d_max=1e6, dtype="float64")
    x = mg.tensor(3 + rng.standard_normal((5, 3)))
    layer(x)
    state = layer.state_dict()
    y = layer(x)
    layer.load_state_dict(state)
    close(y.numpy(), layer.eval()(x).numpy(), 1e-11)


def test_batch_renorm_without_correction_is_batch_norm(rng: np.random.Generator) -> None:
    x = [mg.tensor(rng.standard_normal((5, 3)), requires_grad=True) for _ in range(2)]
    x[1].data = x[0].numpy()
    g = mg.tensor(rng.standard_normal((5, 3)))
    for layer, t in zip((BatchRenorm(3, r_max=1, d_max=0), BatchNorm1d(3)), x, strict=True):
        layer.astype("float64")(t).backward(g)
    close(x[0].grad.numpy(), x[1].grad.numpy())


def test_the_limits_of_batch_renorm() -> None:
    assert [BatchRenorm.schedule(s) for s in (0, 5_000, 22_500, 25_000, 10**6)] == [
        (1, 0), (1, 0), (2, 4.375), (1 + 2 * 20 / 35, 5), (3, 5)
    ]  # fmt: skip
    for r, d in ((0.9, 5), (3, -1), (float("nan"), 5)):
        with pytest.raises(mg.errors.ArgumentError, match="r_max"):
            BatchRenorm(2, r_max=r, d_max=d)


def test_update_bn_measures_the_deviation_of_batch_renorm(rng: np.random.Generator) -> None:
    layer: Layer = BatchRenorm(2, dtype="float64")
    x = rng.standard_normal((12, 2))
    mg.training.update_bn(layer, x, batch_size=4)
    batches = np.split(x, 3)
    close(layer.running_std.numpy(), np.mean([np.sqrt(b.var(0) + 1e-5) for b in batches], 0))
    layer.reset_running_stats()
    assert (layer.running_mean.tolist(), layer.running_std.tolist()) == ([0, 0], [1, 1])


# ---- frozen


def test_a_frozen_batch_norm_is_that_batch_norm_in_evaluation(rng: np.random.Generator) -> None:
    plain, frozen = BatchNorm2d(3), FrozenBatchNorm2d(3)
    for p in plain.parameters():
        p.data = rng.standard_normal(3).astype("float32")
    plain(mg.tensor(rng.standard_normal((4, 3, 2, 2)), dtype="float32"))
    state = {k: v for k, v in plain.state_dict().items() if k != "num_batches_tracked"}
    assert list(frozen.state_dict()) == list(state)
    frozen.load_state_dict(state)
    x = mg.tensor(rng.standard_normal((2, 3, 2, 2)), dtype="float32")
    assert (frozen.train()(x).numpy() == plain.eval()(x).numpy()).all()
    assert list(frozen.parameters()) == []
    assert repr(frozen) == "FrozenBatchNorm2d(3, eps=1e-05)"


# ---- relations


def test_groups_between_layer_norm_and_instance_norm(rng: np.random.Generator) -> None:
    x = mg.tensor(rng.standard_normal((2, 6, 3, 2)))
    one, each = (GroupNorm(k, 6, affine=False) for k in (1, 6))
    close(one(x).numpy(), LayerNorm((6, 3, 2), elementwise_affine=False)(x).numpy())
    close(each(x).numpy(), InstanceNorm2d(6)(x).numpy())


def test_instance_norm_takes_one_example_and_no_map_of_one_place(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4))
    layer = InstanceNorm1d(3)
    close(layer(mg.tensor(x)).numpy(), layer(mg.tensor(x[None])).numpy()[0])
    for training in (True, False):
        with pytest.raises(ValueError, match=r"shape \(5, 3, 1\) has 1 value per channel.*LayerNorm or GroupNorm"):
            layer.train(training)(mg.ones((5, 3, 1)))


def test_instance_norm_averages_the_statistics_of_examples(rng: np.random.Generator) -> None:
    layer: Layer = InstanceNorm1d(2, momentum=None, track_running_stats=True, dtype="float64")
    x = rng.standard_normal((4, 3, 2, 5)) + 2
    for batch in x:
        layer(mg.tensor(batch))
    layer(mg.ones((0, 2, 5), dtype="float64"))  # nothing to learn from
    close(layer.running_mean.numpy(), x.mean((0, 1, 3)))
    close(layer.running_var.numpy(), x.var(3, ddof=1).mean((0, 1)))
    assert layer.num_batches_tracked.item() == 4
