"""F32 and F31: what freezing a module promises, and random streams that are distinct within one module."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, Sequential


def network() -> Sequential:
    return Sequential(Linear(3, 4), Sequential(BatchNorm1d(4), Dropout(0.5)), Linear(4, 1))


def test_f32_a_frozen_norm_stays_as_it_is_through_training(rng: np.random.Generator) -> None:
    """Neither `train()` nor an optimiser nor a forward pass moves it; gradients go through to what is before it."""
    model = network()
    assert model[1].freeze() is model[1]
    before = {k: v for k, v in model.state_dict().items() if k.startswith("1.")}
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        assert model.train().training
        model(mg.tensor(rng.standard_normal((5, 3)), dtype="float32")).sum().backward()
        assert model[0].weight.grad is not None
        assert model[1][0].weight.grad is None
        optimizer.step()
        optimizer.zero_grad()
    assert [m.training for m in model.modules()] == [True, True, False, False, False, True]
    for name, value in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], value, err_msg=name)


def test_f32_fit_leaves_a_frozen_norm(rng: np.random.Generator) -> None:
    model = network()
    model[1].freeze()
    before = model[1].state_dict()
    x = rng.standard_normal((8, 3)).astype("float32")
    mg.fit(
        model, (x, x[:, :1]), (x, x[:, :1]), loss=mg.losses.mse, epochs=2, batch_size=4, verbose=0,
        optimizer=mg.optim.Adam(model.parameters()),
    )  # fmt: skip
    assert model[1].frozen
    assert not model[1][0].training
    for name, value in model[1].state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_freezing_goes_there_and_back() -> None:
    model = network()
    model[0].bias.requires_grad = False
    model[1][0].eval()
    flags = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    model[1].freeze()
    model.freeze().freeze()
    assert all(m.frozen and not m.training for m in model.modules())
    assert not any(p.requires_grad for p in model.requires_grad_().parameters())
    assert not any(p.requires_grad for p in copy.deepcopy(model).parameters())
    assert model.unfreeze() is model
    assert ([m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]) == flags
    assert not any(m.frozen for m in model.unfreeze().modules())
    model.requires_grad_()
    assert all(p.requires_grad for p in model.parameters())


def test_a_frozen_part_is_untouched_by_the_rest_and_shown() -> None:
    model = network()
    model[1].freeze()
    model.requires_grad_(False).requires_grad_()
    assert [p.requires_grad for p in model.parameters()] == [True, True, False, False, True, True]
    assert "(1): Dropout(p=0.5, inplace=False, frozen)" in repr(model)
    assert repr(model).count("frozen") == 3
    text = mg.summary(model, (2, 3))
    assert [line.split()[0] for line in text.splitlines() if "(frozen)" in line] == ["1", "1.0", "1.1"]
    assert text.endswith("29 parameters, 21 of them trained")
    with pytest.raises(AttributeError, match="frozen"):
        model.frozen = True  # type: ignore[misc]


class Tied(mg.Module):
    def __init__(self) -> None:
        self.one = Linear(2, 2)
        self.lists = [[mg.Parameter(mg.ones(2))], {"a": mg.Parameter(mg.ones(1))}]
        self.two = Linear(2, 2)
        self.two.weight = self.one.weight

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.two(self.one(x)) * self.lists[0][0] * self.lists[1]["a"]  # type: ignore[call-overload]


def test_shared_and_contained_parameters_are_frozen() -> None:
    model = Tied()
    model.two.freeze()
    assert not model.one.weight.requires_grad
    assert model.one.bias.requires_grad
    model.two.unfreeze()
    assert all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in model.freeze().parameters())
    assert all(p.requires_grad for p in model.unfreeze().parameters())


def builder() -> Dropout:
    mg.random.seed(0)
    return Dropout(0.5)


def test_f31_two_layers_on_one_stream_are_named() -> None:
    """Seeding anew between two builders: two dropouts kept 0.50 of all units in place of 0.25, without a word."""
    model = Sequential(builder(), builder())
    with pytest.warns(mg.errors.RandomWarning, match=r"Sequential: 0\.generator and 1\.generator .*stream 1.*new_str"):
        list(model.parameters())
    list(model.parameters())  # told once
    assert abs(np.mean(model(mg.ones(10_000)).numpy() != 0) - 0.5) <= 0.02
    model.new_streams()
    assert abs(np.mean(model(mg.ones(10_000)).numpy() != 0) - 0.25) <= 0.02
    assert list(model.parameters()) == []


def test_f31_fit_and_train_tell_it() -> None:
    for first in (lambda m: m.train(), lambda m: m.state_dict(), lambda m: mg.summary(m, (2, 3))):
        with pytest.warns(mg.errors.RandomWarning):
            first(Sequential(builder(), builder()))


def test_a_copy_in_one_module_is_named_unless_it_is_meant() -> None:
    first = Dropout(0.5)
    with pytest.warns(mg.errors.RandomWarning, match=r"one is a copy"):
        Sequential(first, copy.deepcopy(first)).train()
    student = Dropout(0.5)
    teacher = copy.deepcopy(student)
    teacher.generator.shares = True
    both = Sequential(student, teacher)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both.train()
        assert copy.deepcopy(both).train().training
        shared = Dropout(0.5)
        shared.generator = student.generator  # one stream, drawn from in turn: no call is given twice
        Sequential(student, shared).train()
    teacher.generator.state = student.generator.state
    assert not teacher.generator.shares


def test_new_streams_are_new_in_this_module() -> None:
    """After re-seeding, the next number of the seed may be the one that a layer in here has."""
    model = Sequential(builder(), Dropout(0.5))
    before = {g.state[:2] for _, g in model.named_generators()}
    mg.random.seed(0)
    after = {g.state[:2] for _, g in model.new_streams().named_generators()}
    assert len(after) == 2
    assert not before & after
