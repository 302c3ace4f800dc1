"""The digits task, from data to pictures: a small convolutional network with batch norm and dropout.

It is the main demonstration and an example of how a training is put together from public parts. The layers come
through the registry, so minigrad-layers must be installed; nothing here imports it.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minigrad import losses, optim, random
from minigrad.core import Tensor, gradients, tensor
from minigrad.data import DataLoader, load_digits, split
from minigrad.errors import BackendUnavailable, RenderError, UnknownLayerError
from minigrad.graph import trace
from minigrad.module import Module, layer
from minigrad.training.callbacks import Callback, Checkpoint, HistoryFile
from minigrad.training.curves import draw_curves
from minigrad.training.history import History
from minigrad.training.loop import fit

__all__ = ["Settings", "digits_network", "train_digits"]


PICTURES = ("graph.svg", "batch_norm.svg")


class Settings(NamedTuple):
    """What decides a run; a checkpoint keeps it."""

    epochs: int = 15
    batch_size: int = 64
    lr: float = 3e-3
    seed: int = 0


class Decay(Callback):
    """Lets the learning rate fall from `lr` to a hundredth of it, along half a cosine over the epochs."""

    def __init__(self, lr: float) -> None:
        self.lr = lr

    def on_epoch_begin(self, epoch: int) -> None:
        """Set the epoch's rate; it depends on nothing but its number."""
        half_cosine = (1 + math.cos(math.pi * (epoch - 1) / self.run.epochs)) / 2
        self.run.optimizer.param_groups[0]["lr"] = self.lr * (0.01 + 0.99 * half_cosine)


def digits_network() -> Module:
    """Two blocks of convolution, batch norm, ReLU and pooling, then dropout and a linear layer: 1x8x8 to 10 logits.

    Raises:
        UnknownLayerError: minigrad-layers is not installed.

    Example:
        >>> from minigrad.tasks.digits import digits_network
        >>> sum(parameter.size for parameter in digits_network().parameters())
        21482
    """
    wide = (1, 32, 64)
    try:
        blocks = [
            part
            for before, after in itertools.pairwise(wide)
            for part in (
                layer("Conv2d", before, after, 3, padding=1, bias=False),
                layer("BatchNorm2d", after),
                layer("ReLU"),
                layer("MaxPool2d", 2),
            )
        ]
        return layer("Sequential", *blocks, layer("Flatten"), layer("Dropout", 0.3), layer("Linear", 4 * wide[-1], 10))
    except UnknownLayerError as problem:
        raise UnknownLayerError(
            f"{problem}; install both distributions in one command, in a checkout: pip install -e . -e layers"
        ) from problem


def train_digits(
    out: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    device: str = "numpy",
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    verbose: int = 1,
) -> tuple[History, list[str]]:
    """Train on the 1,797 digits of scikit-learn, and write into the folder `out`: `weights.safetensors`,
    `history.jsonl`, `curves.png`, `graph.svg` and `batch_norm.svg`.

    Every fifth digit of a class is for validation. Seeds 0 to 27 reach 98.3 to 99.5 % there.

    Args:
        out: the folder, made if it is not there.
        settings: epochs, batch size, learning rate and seed.
        device: where to train.
        resume: go on from `weights.safetensors` when it is there.
        callbacks, verbose: as for `fit`.

    Returns:
        The history, and for each picture that could not be drawn the reason.

    Raises:
        BackendUnavailable: scikit-learn is not installed.
        UnknownLayerError: minigrad-layers is not installed.
        CheckpointError, ArgumentError: the run to resume is damaged, or had other settings.
        Interrupted: Ctrl-C; the run was saved and can be resumed.

    Example:
        >>> from minigrad.tasks.digits import Settings, train_digits
        >>> history, missing = train_digits("digits", Settings(epochs=1), verbose=0)
        >>> history.history["val_accuracy"][0] > 0.5
        True
    """
    settings, folder = settings or Settings(), Path(out)
    train, valid = split(*load_digits())
    random.seed(settings.seed)
    model = digits_network().to(device)
    optimizer = optim.Adam(model.parameters(), lr=settings.lr)
    history = fit(
        model,
        DataLoader(train, settings.batch_size, seed=settings.seed),
        valid,
        loss=losses.cross_entropy,
        optimizer=optimizer,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        metrics=["accuracy"],
        callbacks=[
            Decay(settings.lr),
            Checkpoint(folder / "weights.safetensors", resume=resume, extra=settings._asdict()),
            HistoryFile(folder / "history.jsonl"),
            *callbacks,
        ],
        verbose=verbose,
    )
    missing = []
    try:
        title = f"digits: {len(train[1])} to train on, {len(valid[1])} to validate on"
        draw_curves(history.records, folder / "curves.png", title)
    except BackendUnavailable as problem:
        missing.append(str(problem))
    try:
        draw_network(model, (train[0][:4], train[1][:4]), folder)
    except RenderError as problem:
        missing += [f"{folder / name} is not drawn: {problem}" for name in PICTURES]
    return history, missing


def draw_network(model: Module, batch: tuple[Any, Any], folder: Path) -> None:
    """Two pictures of one training step of `model`, which stays as it is: `graph.svg`, a box for each layer, and
    `batch_norm.svg`, the first batch norm in the steps of the paper, forward and backward.
    """
    device = next(model.parameters()).device
    twin = digits_network().to(device)
    twin.load_state_dict(model.state_dict())
    pictures, labels = (tensor(part, device=device) for part in batch)
    with trace(twin) as graph:
        losses.cross_entropy(twin(pictures.named("pictures")), labels.named("labels")).named("loss").backward()
    graph.save(folder / "graph.svg", depth=1, show=())  # what layers are called says their sizes: it fits a screen
    layers = list(twin.children())
    at = next(k for k, part in enumerate(layers) if any(True for _ in part.buffers()))
    x = tensor(_through(layers[:at], pictures), requires_grad=True)
    given = tensor(layers[at](x), requires_grad=True)
    (cotangent,) = gradients(losses.cross_entropy(_through(layers[at + 1 :], given), labels), [given])
    with trace(layers[at], form="textbook") as graph:
        layers[at](x.named("x")).named("y").backward(cotangent)
    graph.save(folder / "batch_norm.svg", depth=2, passes="both", show=("shape", "value", "formula"))


def _through(layers: Sequence[Module], x: Tensor) -> Tensor:
    for part in layers:
        x = part(x)
    return x
