"""Modules: what is found and under which name, state, moving, copying, repr, the registry, the summary."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential


class Net(mg.Module):
    """Everything that a module can hold, without calling super().__init__()."""

    def __init__(self) -> None:
        self.first = Linear(3, 4)
        self.scale = mg.Parameter(mg.ones(4, dtype="float32"))
        self.count = mg.Buffer(mg.tensor(0))
        self.blocks = [Linear(4, 4), (BatchNorm1d(4), Dropout(0.5))]
        self.heads = {"a": Linear(4, 2), "b": mg.Parameter(mg.zeros(2, dtype="float32"))}
        self.again = self.first
        self.note = "not a tensor"
        self.constant = mg.tensor([1.0])

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """x (n, 3) to (n, 2)."""
        self.count.assign(self.count + 1)
        x = self.blocks[0](self.first(x) * self.scale)
        for block in self.blocks[1]:
            x = block(x)
        return self.heads["a"](x) + self.heads["b"]


NAMES = [
    "first.weight", "first.bias", "scale", "count", "blocks.0.weight", "blocks.0.bias", "blocks.1.0.weight",
    "blocks.1.0.bias", "blocks.1.0.running_mean", "blocks.1.0.running_var", "blocks.1.0.num_batches_tracked",
    "heads.a.weight", "heads.a.bias", "heads.b",
]  # fmt: skip
BUFFERS = ("count", "running_mean", "running_var", "num_batches_tracked")


def test_names_are_dotted_paths_in_the_order_of_definition() -> None:
    net = Net()
    assert list(net.state_dict()) == NAMES
    assert [n for n, _ in net.named_parameters()] == [n for n in NAMES if not n.endswith(BUFFERS)]
    assert [n for n, _ in net.named_buffers()] == [n for n in NAMES if n.endswith(BUFFERS)]
    assert len(list(net.parameters())) == len({id(p) for p in net.parameters()}) == 10
    assert [n for n, _ in net.named_modules()] == ["", "first", "blocks.0", "blocks.1.0", "blocks.1.1", "heads.a"]
    assert len(list(net.children())) == 5
    assert [n for n, _ in net.named_generators()] == ["blocks.1.1.generator"]
    assert all(p.requires_grad and p.is_leaf for p in net.parameters())
    assert not any(b.requires_grad for b in net.buffers())


def test_what_is_shared_is_found_once() -> None:
    one = Linear(2, 2)
    two = Linear(2, 2)
    two.weight = one.weight
    both = Sequential(one, two, one)
    assert [n for n, _ in both.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    both(mg.ones((1, 2), dtype="float32")).sum().backward()
    assert len(list(both.modules())) == 3


def test_a_module_that_holds_its_parent_is_no_endless_loop() -> None:
    parent, child = Sequential(Linear(2, 2)), Linear(2, 2)
    child.owner = parent
    parent.child = child
    assert len(list(parent.modules())) == 3


def test_state_goes_round_bit_for_bit() -> None:
    net, other = Net(), Net()
    net(mg.random.normal((5, 3)))
    state = net.state_dict()
    assert other.load_state_dict(state) is other
    for name, value in other.state_dict().items():
        assert value.dtype == state[name].dtype
        assert value.flags.c_contiguous
        np.testing.assert_array_equal(value, state[name])
    state["scale"][:] = 7  # copies: writing there is nobody's business
    assert (net.scale.numpy() == 1).all()
    x = mg.random.normal((4, 3))
    np.testing.assert_array_equal(net.eval()(x).numpy(), other.eval()(x).numpy())


def test_loading_tells_everything_that_does_not_fit_and_loads_nothing() -> None:
    net = Net()
    before = net.state_dict()
    state = {k: v + 1 for k, v in before.items()}
    del state["first.bias"]
    state["scale"] = np.ones(5, "float32")
    state["other"] = np.ones(2)
    state["count"] = np.array(1.5)
    with pytest.raises(mg.errors.CheckpointError) as caught:
        net.load_state_dict(state)
    for part in (
        "missing: first.bias (4,)",
        "unexpected: other (2,)",
        "scale has shape (5,), the model's (4,)",
        "count has dtype",
    ):
        assert part in str(caught.value)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    net.load_state_dict({"scale": np.full(4, 3.0)}, strict=False)
    assert net.scale.tolist() == [3.0] * 4
    assert net.scale.dtype == np.float32
    with pytest.raises(mg.errors.CheckpointError, match="scale"):
        net.load_state_dict({"scale": np.ones(5)}, strict=False)


def test_training_is_one_flag_on_the_tree() -> None:
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())
    assert Linear(1, 1).training


def test_gradients_are_forgotten_and_parameters_frozen() -> None:
    net = Net()
    x = mg.random.normal((5, 3))
    net(x).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    assert all(p.grad is None for p in net.zero_grad().parameters())
    net.requires_grad_(False)
    assert not net(x).requires_grad
    assert net.requires_grad_()(x).requires_grad


def test_moving_keeps_the_very_tensors() -> None:
    net = Net()
    x = mg.random.normal((5, 3), device="numpy")
    net.to("numpy")(x).sum().backward()
    before = [id(p) for p in net.parameters()]
    net.to("fakecupy")
    assert [id(p) for p in net.parameters()] == before
    assert {t.device for t in (*net.parameters(), *net.buffers())} == {"fakecupy"}
    assert {p.grad.device for p in net.parameters()} == {"fakecupy"}
    net.zero_grad()(x.to("fakecupy")).sum().backward()
    assert net.first.weight.grad.device == "fakecupy"
    net.astype("float64")
    assert {p.dtype for p in net.parameters()} == {np.dtype("float64")} == {p.grad.dtype for p in net.parameters()}
    assert net.count.dtype == np.int64
    net.zero_grad()(x.to("fakecupy").astype("float64")).sum().backward()
    assert net.first.weight.grad.dtype == np.float64
    net.astype("float16")
    assert ({p.dtype for p in net.parameters()}, net.blocks[1][0].running_var.dtype) == (
        {np.dtype("float16")},
        np.float32,
    )
    with pytest.raises(mg.errors.DtypeError, match="int32"):
        net.astype("int32")


def test_a_deep_copy_is_independent() -> None:
    net = Net()
    twin = deepcopy(net)
    assert twin.again is twin.first
    twin.first.weight.data = twin.first.weight.data * 0 + 1
    assert not (net.first.weight.numpy() == 1).any()
    twin(mg.random.normal((5, 3)))
    assert (net.count.item(), twin.count.item()) == (0, 1)
    assert next(dict(twin.named_generators()).values().__iter__()) is not net.blocks[1][1].generator


def test_a_deep_copy_draws_the_same_masks_until_it_is_given_streams_of_its_own() -> None:
    net, x = Net(), mg.random.normal((64, 3))
    twin = deepcopy(net)
    for _ in range(2):  # both go on from call to call
        np.testing.assert_array_equal(net(x).numpy(), twin(x).numpy())
    states = [g.state for _, g in twin.new_streams().named_generators()]
    assert len({*states, *(g.state for _, g in net.named_generators())}) == 2 * len(states) > 0
    assert (net(x).numpy() != twin(x).numpy()).any()
    assert twin.again is twin.first


def test_transforms_differentiate_a_module() -> None:
    layer = Linear(3, 1)
    x = mg.random.normal((4, 3))
    found = mg.grad(lambda m: m(x).sum())(layer)
    assert list(found) == ["weight", "bias"]
    np.testing.assert_allclose(found["weight"].numpy(), x.numpy().sum(0, keepdims=True), rtol=1e-6)
    layer.bias.requires_grad = False
    assert list(mg.grad(lambda m: m(x).sum())(layer)) == ["weight"]


def test_a_bare_array_is_taken_too() -> None:
    layer = Linear(3, 2)
    layer.to("numpy")
    a = np.ones((2, 3), "float32")
    with mg.use_device("numpy"):
        assert isinstance(layer(a), mg.Tensor)
        assert isinstance(BatchNorm1d(3)(np.eye(3, dtype="float32")), mg.Tensor)


def test_buffers_tell_of_no_gradient_and_check_shapes() -> None:
    buffer = mg.Buffer(mg.zeros(3, dtype="float32"))
    buffer.assign(mg.ones(3, dtype="float64"))
    assert (buffer.dtype, buffer.tolist()) == (np.float32, [1, 1, 1])
    with pytest.raises(mg.errors.ShapeError, match=r"\(2,\).*\(3,\)"):
        buffer.assign(mg.ones(2))
    y = mg.tensor(2.0, requires_grad=True) * buffer
    buffer.assign(mg.zeros(3, dtype="float32"))
    y.sum().backward()  # with the values that it was computed with
    assert not buffer.requires_grad


def test_faults_teach() -> None:
    net = Net()
    with pytest.raises(TypeError, match=r"scale is a Parameter.*\.scale\.data = value"):
        net.scale = np.ones(4)
    with pytest.raises(TypeError, match=r"count is a Buffer.*\.count\.assign\(value\)"):
        net.count = 3
    net.scale = None  # that is how a parameter is taken away
    with pytest.raises(NotImplementedError, match="Empty does not define forward"):
        type("Empty", (mg.Module,), {})()(1)
    with pytest.raises(mg.errors.DeclarationError, match="__call__ is final"):
        type("Own", (mg.Module,), {"__call__": lambda self: None})
    with pytest.raises(mg.errors.ShapeError) as caught:
        Sequential(Linear(3, 2), Linear(3, 2))(mg.ones((1, 3), dtype="float32"))
    assert "in the layer Linear(in_features=3, out_features=2, bias=True)" in caught.value.__notes__


def test_repr_is_pytorchs() -> None:
    torch: Any = pytest.importorskip("torch", reason="the extra `bench` brings PyTorch")
    nn = torch.nn
    if "bias=" not in repr(nn.BatchNorm1d(4)):
        pytest.skip("an older PyTorch, which does not show bias=")
    theirs = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()), nn.Dropout(0.5))
    ours = Sequential(Linear(3, 4), Sequential(BatchNorm1d(4), ReLU()), Dropout(0.5))
    assert repr(ours) == repr(theirs)


def test_repr_of_lists_and_dicts() -> None:
    lines = repr(Net()).splitlines()
    assert lines[0] == "Net("
    assert "  (blocks.1.1): Dropout(p=0.5, inplace=False)" in lines


def test_the_catalogue() -> None:
    listed = mg.layers()
    assert set(listed) >= {"Linear", "BatchNorm2d", "Dropout"}
    info = listed["BatchNorm2d"]
    assert (info.name, info.family, info.origin) == ("BatchNorm2d", "normalization", "minigrad-layers")
    assert info.summary.startswith("Each channel")
    assert isinstance(mg.layer("Linear", 2, 3, bias=False), Linear)
    with pytest.raises(mg.errors.UnknownLayerError, match="BatchNorm2d"):
        mg.layer("BatchNorm2D", 3)
    with pytest.raises(mg.errors.DeclarationError, match="Module"):
        mg.register_layer(int)
    with pytest.raises(mg.errors.DeclarationError, match="docstring"):
        mg.register_layer(type("Bare", (mg.Module,), {"forward": lambda self, x: x}))


def test_summary_leaves_the_model_as_it_was() -> None:
    net = Sequential(Linear(3, 4), BatchNorm1d(4), Dropout(0.5), Linear(4, 1))
    net[2].eval()
    before = net.state_dict()
    text = mg.summary(net, (7, 3))
    assert [line.split()[-1] for line in text.splitlines()[2:6]] == ["16", "8", "0", "5"]
    assert "(7, 4)" in text
    assert text.endswith("29 parameters, 29 of them trained")
    assert [m.training for m in net.modules()] == [True, True, True, False, True]
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_what_is_promised_to_threads_that_share_a_module(rng: np.random.Generator) -> None:
    """In evaluation everything; in training that no random number is given twice and each buffer is a whole update."""
    from concurrent.futures import ThreadPoolExecutor

    x = mg.tensor(rng.standard_normal((6, 4)), device="numpy")
    model = Sequential(Linear(4, 4), BatchNorm1d(4), Dropout(0.5)).astype("float64").to("numpy")
    expected = model.eval()(x).numpy()
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: model(x).numpy(), range(200)):
            np.testing.assert_array_equal(found, expected)
        model.train()
        masks = list(pool.map(lambda _: (model[2](mg.ones((64, 64), device="numpy")).numpy() > 0).tobytes(), range(64)))
        list(pool.map(lambda _: model(x), range(200)))
    assert len(set(masks)) == 64
    assert model[2].generator.call == 264
    assert 0 < model[1].num_batches_tracked.item() <= 200
    h = model[0](x).numpy()
    shares = model[1].running_mean.numpy() / h.mean(0)  # of one and the same batch: 1 - 0.9 ** k for whole updates
    updates = np.log1p(-shares) / np.log(0.9)
    np.testing.assert_allclose(updates, np.round(updates), atol=1e-3)
