"""Losses and optimisers as programs: recorded on arrays without values, and right when they run on real ones.

The discipline that a compiler needs: nothing looks at a value, arrays are inputs, what changes from step to step is an
array. `minigrad.check.layer` does the same for every layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimisers import OPTIMISERS, make

import minigrad as mg


@pytest.fixture(autouse=True)
def _host(backend: str) -> None:
    if backend != "numpy":
        pytest.skip("a program is recorded without a device; what runs it decides")


@pytest.mark.parametrize("name", sorted(set(mg.losses.__all__) - {"cross_entropy", "nll"}))
def test_a_loss_is_a_program(name: str, rng: np.random.Generator) -> None:
    p, t = (mg.tensor(rng.uniform(0.1, 0.9, (4, 3)), requires_grad=k == 0) for k in range(2))
    loss = getattr(mg.losses, name)

    def step(p: mg.Tensor, t: mg.Tensor) -> Any:
        value = loss(p, t)
        return (value, *mg.gradients(value, [p]))

    recorded = mg.graph.program(step, p, t)
    assert not recorded.constants
    for a, b in zip(recorded.run(p.numpy(), t.numpy()), step(p, t), strict=True):
        np.testing.assert_array_equal(a, b.numpy())


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}])
def test_cross_entropy_is_a_program(options: dict[str, Any], rng: np.random.Generator) -> None:
    x, labels = mg.tensor(rng.standard_normal((4, 3)), requires_grad=True), mg.tensor([0, 2, -100, 1])

    def step(x: mg.Tensor, labels: mg.Tensor) -> Any:
        value = mg.losses.cross_entropy(x, labels, **options)
        return (value, *mg.gradients(value, [x]))

    recorded = mg.graph.program(step, x, labels)
    for a, b in zip(recorded.run(x.numpy(), labels.numpy()), step(x, labels), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-15)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_rule_of_an_optimiser_is_a_program(name: str, rng: np.random.Generator) -> None:
    """With state, gradient and the numbers of the step as inputs, and no constant that would be frozen."""
    p = mg.Parameter(rng.standard_normal((3, 2)))
    optimizer = make(name, [p])
    (group,) = optimizer.param_groups
    slots, contract, rule = optimizer.slots(group), optimizer.contract, optimizer.rule
    numbers = [k for k in contract.takes if k not in group or k == "lr"]
    given = {k: group[k] for k in contract.takes if k not in numbers}
    arrays = [np.abs(rng.standard_normal((3, 2))) for _ in range(2 + len(slots))]
    arrays += [np.abs(rng.standard_normal(())) for _ in numbers]

    def update(p: Any, g: Any, *rest: Any) -> Any:
        named = dict.fromkeys(contract.slots) | dict(zip([*slots, *numbers], rest, strict=True))
        new, *changed = rule(p, g, **named, **given)
        return new, *(value for slot, value in zip(contract.slots, changed, strict=True) if slot in slots)

    tensors = [mg.tensor(a) for a in arrays]
    recorded = mg.graph.program(update, *tensors)
    assert not recorded.constants
    for a, b in zip(recorded.run(*arrays), update(*tensors), strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_dropout_records_its_words_and_their_place() -> None:
    layer = mg.layer("Dropout", 0.5)
    layer.generator.state = (3, 4, 5)
    recorded = mg.graph.program(layer, mg.ones((2, 3)))
    assert recorded.steps[0].op.name == "random_bits"
    assert [array.tolist() for _, array in recorded.constants] == [[3, 4], [0, 1, 0, 0]]
    assert [place.tolist() for place in recorded.read()] == [[0, 5, 0, 0]]
    assert layer.generator.state == (3, 4, 5)
    y, place = recorded.run(np.ones((2, 3)), *recorded.read())
    np.testing.assert_array_equal(y, layer(mg.ones((2, 3))).numpy())
    assert place.tolist() == [0, 6, 0, 0]
