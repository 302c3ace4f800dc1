"""U1: what people write who come from PyTorch, Keras and NumPy, each answered with what to write here.

A row is what they write and what the answer must hold. The answers are made from what there is: a name that comes to
exist is none of these mistakes any more, so rows of names that may come are computed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad_layers as L
from minigrad import elsewhere
from minigrad.answers import wrong_call

Row = tuple[Callable[[], Any], str]


def t() -> mg.Tensor:
    return mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


def model() -> mg.Module:
    return L.Linear(2, 1)


X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")


def fit(**options: Any) -> Any:
    net = model()
    given = {"loss": mg.losses.mse, "optimizer": mg.optim.SGD(net.parameters()), "verbose": 0, **options}
    return mg.fit(net, given.pop("train", (X, Y)), **given)


def graph() -> mg.Graph:
    with mg.trace() as found:
        mg.exp(t())
    return found


MISTAKES: dict[str, Row] = {
    # ---- functions, by name
    "np.concatenate": (lambda: np.concatenate([t()]), "use mg.concat | .numpy()"),
    "np.linalg.inv": (lambda: np.linalg.inv(t()), "use mg.linalg.inv"),
    "np.where": (lambda: np.where(t() > 0, t(), 0.0), "use mg.where"),
    "torch.cat": (lambda: mg.cat, "use mg.concat"),
    "torch.unsqueeze": (lambda: mg.unsqueeze, "use mg.expand_dims"),
    "torch.permute": (lambda: mg.permute, "use mg.permute_dims"),
    "torch.clamp": (lambda: mg.clamp, "use mg.clip"),
    "torch.mm": (lambda: mg.mm, "use mg.matmul"),
    "torch.gather": (lambda: mg.gather, "use mg.take_along_axis"),
    "torch.from_numpy": (lambda: mg.from_numpy, "use mg.tensor"),
    "torch.manual_seed": (lambda: mg.manual_seed(0), "use mg.random.seed"),
    "torch.randn": (lambda: mg.randn(3), "use mg.random.normal(shape)"),
    "torch.nn": (lambda: mg.nn, "minigrad_layers | mg.Module"),
    "torch.utils.checkpoint": (lambda: mg.checkpoint, "use mg.remat"),
    "torch.float32": (lambda: mg.float32, '"float32"'),
    "np.arcsin": (lambda: mg.arcsin, "use mg.asin"),
    "np.vstack": (lambda: mg.vstack, "use mg.concat"),
    "np.linalg.norm": (lambda: mg.norm, "use mg.linalg.norm"),
    "tf.reduce_sum": (lambda: mg.reduce_sum, "use mg.sum"),
    "tf.GradientTape": (lambda: mg.GradientTape(), "use mg.gradients"),
    "jnp.asarray": (lambda: mg.asarray, "use mg.tensor"),
    "F.cross_entropy": (lambda: mg.cross_entropy, "use mg.losses.cross_entropy"),
    "mg.random.randn": (lambda: mg.random.randn(3), "minigrad.random has no 'randn' | use mg.random.normal(shape)"),
    "mg.random.randint": (lambda: mg.random.randint, "use mg.random.integers"),
    "mg.losses.MSELoss": (lambda: mg.losses.MSELoss(), "minigrad.losses has no 'MSELoss' | use mg.losses.mse"),
    "mg.losses.BCEWithLogitsLoss": (
        lambda: mg.losses.BCEWithLogitsLoss,
        "use mg.losses.binary_cross_entropy_with_logits",
    ),
    "mg.losses.mean_squared_error": (lambda: mg.losses.mean_squared_error, "use mg.losses.mse"),
    "mg.optim.exp": (lambda: mg.optim.exp, "use mg.exp"),
    "mg.optim.LBFGS": (lambda: mg.optim.LBFGS, "use mg.optim."),
    "mg.optim.Adamm": (lambda: mg.optim.Adamm, "did you mean mg.optim.Adam"),
    "mg.training.accuracy_score": (lambda: mg.training.accuracy_score, "use mg.training.accuracy"),
    "mg.init.GlorotUniform": (lambda: mg.init.GlorotUniform, "use mg.init."),
    "mg.linalg.logdet": (lambda: mg.linalg.logdet, "use mg.linalg.slogdet"),
    "mg.data.TensorDataset": (lambda: mg.data.TensorDataset, "use mg.data.DataLoader"),
    "mg.matmull": (lambda: mg.matmull, "did you mean mg.matmul?"),
    # ---- layers, by name
    "L.Dense": (lambda: L.Dense(3), "minigrad_layers has no 'Dense' | use minigrad_layers.Linear"),
    "L.BatchNormalization": (lambda: L.BatchNormalization(), "use minigrad_layers.BatchNorm1d | BatchNorm2d"),
    "L.Activation": (lambda: L.Activation("relu"), "minigrad_layers.ReLU() | mg.tanh"),
    "L.InputLayer": (lambda: L.InputLayer((3,)), "sizes when it is constructed"),
    "L.MaxPooling2D": (lambda: L.MaxPooling2D, "use minigrad_layers.MaxPool2d"),
    "L.softplus": (lambda: L.softplus, "use "),
    "mg.Linear": (lambda: mg.Linear(3, 2), "use minigrad_layers.Linear"),
    'mg.layer("Dense")': (lambda: mg.layer("Dense", 3), "no layer is called 'Dense' | minigrad_layers.Linear"),
    # ---- keywords
    "mg.sum(dim=)": (lambda: mg.sum(t(), dim=0), "sum: there is no argument 'dim'; it is called 'axis' here"),
    "t.sum(dim=)": (lambda: t().sum(dim=0), "called 'axis' here"),
    "t.mean(keepdim=)": (lambda: t().mean(0, keepdim=True), "called 'keepdims' here"),
    "mg.softmax(dim=)": (lambda: mg.softmax(t(), dim=-1), "softmax: | called 'axis' here"),
    "mg.concat(dim=)": (lambda: mg.concat([t(), t()], dim=1), "called 'axis' here"),
    "t.var(ddof=)": (lambda: t().var(ddof=1), "called 'correction' here"),
    "t.var(unbiased=)": (lambda: t().var(unbiased=True), "called 'correction' here"),
    "mg.clip(a_min=)": (lambda: mg.clip(t(), a_min=0.0), "called 'min' here"),
    "mg.zeros(size=)": (lambda: mg.zeros(size=3), "called 'shape' here"),
    "mg.random.normal(loc=)": (lambda: mg.random.normal(3, loc=1.0), "called 'mean' here"),
    "mg.exp(out=)": (lambda: mg.exp(t(), out=t()), "'out'"),
    "mg.losses.mse(y_true=)": (lambda: mg.losses.mse(t(), y_true=t()), "called 'target' here"),
    "Dropout(rate=)": (lambda: L.Dropout(rate=0.5), "Dropout: there is no argument 'rate'; it is called 'p' here"),
    "Linear(units=)": (lambda: L.Linear(3, units=2), "Linear: | called 'out_features' here"),
    "Linear(activation=)": (lambda: L.Linear(3, 2, activation="relu"), "Sequential(Linear(3, 2), ReLU())"),
    "Linear(input_shape=)": (lambda: L.Linear(3, 2, input_shape=(3,)), "any number of examples"),
    "Linear(use_bias=)": (lambda: L.Linear(3, 2, use_bias=False), "called 'bias' here"),
    "Linear(3)": (lambda: L.Linear(3), "Linear: 'out_features' is missing | Linear(in_features, out_features"),
    "BatchNorm1d()": (lambda: L.BatchNorm1d(), "BatchNorm1d: 'num_features' is missing"),
    "BatchNorm1d(epsilon=)": (lambda: L.BatchNorm1d(3, epsilon=1e-3), "BatchNorm1d: | called 'eps' here"),
    "BatchNorm1d(axis=)": (lambda: L.BatchNorm1d(3, axis=1), "fixed axes | mg.moveaxis"),
    "Conv2d(filters=)": (lambda: L.Conv2d(3, filters=8, kernel_size=3), "called 'out_channels' here"),
    "Conv2d(strides=)": (lambda: L.Conv2d(3, 8, 3, strides=2), "called 'stride' here"),
    "ReLU(inplace=)": (lambda: L.ReLU(inplace=True), "nothing is written in"),
    "Sequential([])": (lambda: L.Sequential([model()]), "Sequential(*modules)"),
    "Adam(learning_rate=)": (lambda: mg.optim.Adam([t()], learning_rate=0.1), "Adam: | called 'lr' here"),
    "Adam(beta_1=)": (lambda: mg.optim.Adam([t()], beta_1=0.9), "called 'betas' here"),
    "Adam(model)": (lambda: mg.optim.Adam(model()), "Adam(model.parameters())"),
    "SGD()": (lambda: mg.optim.SGD(), "SGD: 'params' is missing"),
    # ---- attributes
    "t.cuda()": (lambda: t().cuda(), 'x.to("cupy")'),
    "t.view()": (lambda: t().view(4), "x.reshape(shape)"),
    "t.clone()": (lambda: t().clone(), "needs no copy"),
    "t.exp()": (lambda: t().exp(), "minigrad.exp"),
    "t.add_()": (lambda: t().add_(1), "never written in place"),
    "t.unsqueeze()": (lambda: t().unsqueeze(0), "minigrad.expand_dims"),
    "model.cuda()": (lambda: model().cuda(), 'model.to("cupy")'),
    "model.summary()": (lambda: model().summary(), "mg.summary(model"),
    "model.compile()": (lambda: model().compile(optimizer="adam"), "nothing to compile | mg.fit("),
    "model.fit()": (lambda: model().fit(X, Y), "mg.fit(model, (X, y)"),
    "model.predict()": (lambda: model().predict(X), "model.eval()(x)"),
    "model.save()": (lambda: model().save("x"), "mg.save(path, model=model)"),
    "model.register_buffer()": (lambda: model().register_buffer("a", t()), "mg.Buffer(data)"),
    "model.half()": (lambda: model().half(), 'astype("float16")'),
    "graph.show()": (lambda: graph().show(), 'graph.save("graph.svg") | graph.view()'),
    # ---- calls
    "model([…])": (lambda: model()([1.0, 2.0]), "Linear: argument 'x' is a list | minigrad.tensor"),
    "model(training=)": (lambda: model()(X, training=True), "model.eval()"),
    "LayerNorm of a wrong kind": (lambda: L.LayerNorm("3"), "LayerNorm: normalized_shape='3'"),
    "Conv2d of nothing": (lambda: L.Conv2d(3, 4, 0), "kernel_size | 0 | at least 1"),
    "mg.tensor(device=cuda)": (lambda: mg.tensor(1.0, device="cuda"), "'cuda' | is 'cupy' here"),
    "model.to(cuda:0)": (lambda: model().to("cuda:0"), "'cuda' | is 'cupy' here"),
    "fit(validation_data=)": (lambda: fit(validation_data=(X, Y)), "fit: | called 'valid' here"),
    "fit(learning_rate=)": (lambda: fit(learning_rate=0.1), "fit: there is no argument 'learning_rate'"),
    "fit(validation_split=)": (lambda: fit(validation_split=0.1), "mg.data.split"),
    "fit(m, X, Y)": (lambda: fit(train=X, valid=Y), "fit(model, (X, y)"),
    "fit(optimizer=adam)": (lambda: fit(optimizer="adam"), "mg.optim.Adam(model.parameters())"),
    "fit(loss=mse)": (lambda: fit(loss="mse"), "mg.losses.mse"),
    "fit(loss=categorical)": (lambda: fit(loss="categorical_crossentropy"), "mg.losses.cross_entropy"),
    "fit(metrics=acc)": (lambda: fit(metrics=["acc"]), "no metric is called 'acc'; there are accuracy"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_in_the_words_of_this_library(name: str) -> None:
    """U1."""
    call, fragments = MISTAKES[name]
    with pytest.raises(Exception) as caught:
        call()
    assert isinstance(caught.value, (mg.errors.MinigradError, TypeError)), caught.value
    assert [f for f in fragments.split(" | ") if f not in str(caught.value)] == [], str(caught.value)


def test_the_table_is_long() -> None:
    assert len(MISTAKES) >= 60


@pytest.mark.parametrize(
    ("begins", "says"), [(b"PK\x03\x04", "torch.save"), (b"\x80\x04", "pickle"), (b"\x89HDF", "Keras")]
)
def test_files_of_others(begins: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(begins + bytes(100))
    for read in (mg.load, mg.load_tensors):
        with pytest.raises(mg.errors.CheckpointError, match=rf"{says}.*minigrad reads safetensors"):
            read(path)


# ---- the tables


@pytest.mark.parametrize("theirs", sorted({name for names in elsewhere.CALLED.values() for name in names.split()}))
def test_what_is_called_otherwise_has_an_answer_that_is_there(theirs: str) -> None:
    """And where it has come to exist, that is the answer."""
    answer = mg.answers.remedy(theirs)
    (path,) = re.findall(r"^(?:mg|minigrad_layers)(?:\.\w+)+", answer) or [""]
    assert path, answer
    at: Any = {"mg": mg, "minigrad_layers": L}[path.partition(".")[0]]
    for part in path.split(".")[1:]:
        at = getattr(at, part)


def test_an_answer_gives_way_to_what_comes_to_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mg.answers.remedy("Lookahead") == ""
    monkeypatch.setitem(vars(mg.optim), "Lookahead", type("Lookahead", (), {}))
    monkeypatch.setattr(mg.optim, "__all__", [*mg.optim.__all__, "Lookahead"])
    assert mg.answers.remedy("Lookahead") == "mg.optim.Lookahead"
    assert mg.optim.Lookahead is vars(mg.optim)["Lookahead"]


def parameters() -> set[str]:
    """The names of all arguments of public functions and classes."""
    found: set[str] = set()
    for place in (mg, L, *(getattr(mg, n) for n in mg.__all__ if inspect.ismodule(getattr(mg, n)))):
        for name in place.__all__:
            value = getattr(place, name)
            if inspect.isfunction(value) or (inspect.isclass(value) and not issubclass(value, Exception)):
                found |= {*inspect.signature(value).parameters}
    return found


def test_keywords_are_those_of_something() -> None:
    assert sorted(set(elsewhere.KEYWORDS) - parameters()) == []


@pytest.mark.parametrize("name", sorted(elsewhere.MODULE))
def test_attributes_of_modules_are_answered_and_count_as_missing(name: str) -> None:
    layer = model()
    if isinstance(vars(mg.Module).get(name), mg.answers.Missing):
        assert not hasattr(layer, name)
        assert name not in dir(layer)
        setattr(layer, name, 3)  # a layer's own attribute wins
        assert getattr(layer, name) == 3
        assert name in dir(layer)
    else:
        assert hasattr(layer, name), "neither there nor answered"


def test_private_names_are_only_denied() -> None:
    for place in (mg, mg.losses, L):
        with pytest.raises(AttributeError) as caught:
            place.__wrapped__
        assert not isinstance(caught.value, mg.errors.MinigradError)
        assert not hasattr(place, "_not_here")


def test_a_call_that_fits_is_not_at_fault() -> None:
    def f(x: int, *, axis: int = 0) -> None:
        raise TypeError("from inside")

    assert wrong_call("f", inspect.signature(f), (1,), {}) is None
    with pytest.raises(TypeError, match="from inside"):
        mg.answers.answering(f)(1)
    with pytest.raises(
        mg.errors.ArgumentTypeError, match=r"f: 2 arguments are given by position, and there are at most 1"
    ):
        mg.answers.answering(f)(1, 2)


def test_a_layer_of_ones_own_answers_as_ours_do() -> None:
    class Mine(mg.Module):
        def __init__(self, size: int, drop_rate: float = 0.5) -> None:
            raise TypeError("from inside") if size < 0 else self.check()

        def check(self) -> ValueError:
            return ValueError("made")

    with pytest.raises(
        mg.errors.ArgumentTypeError, match="Mine: there is no argument 'drop_rat'; did you mean 'drop_rate'"
    ):
        Mine(3, drop_rat=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="from inside"):
        Mine(-1)
    assert [*inspect.signature(Mine).parameters] == ["size", "drop_rate"]
