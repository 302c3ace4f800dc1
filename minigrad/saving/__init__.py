"""Checkpoints: `save` writes a model, an optimiser and what else you give; `load` fills the objects that you give.

Files are safetensors, which the whole ecosystem reads, written atomically and sealed (`sealed`). Nothing is pickled,
and loading builds and imports nothing: names of layers in a file are there for messages.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minigrad.backend import backend_of
from minigrad.core import Tensor
from minigrad.errors import ArgumentError, CheckpointError
from minigrad.saving import atomic, sealed
from minigrad.saving.names import by_model, by_optimizer
from minigrad.saving.trees import pack, unpack

__all__ = ["atomic", "load", "load_tensors", "save"]

FORMAT = 1
MODEL = "model"  # whose names an optimiser's state goes by; without it, it goes by positions
OPTIMIZER = "optimizer"  # "optimizer/state/…": a slash keeps its tensors apart from the model's dotted names


def save(path: str | os.PathLike[str], *, model: Any = None, optimizer: Any = None, **json_extra: Any) -> None:
    """Write a checkpoint: the model's parameters, buffers and random streams, the optimiser's state, and `json_extra`.

    Atomic: at every moment the file is the old one or the new one, whole; an error leaves the old one. The model's
    tensors have their dotted names, so any reader of safetensors finds them; the optimiser's have a slash in theirs.

    Args:
        path: by custom with the suffix ".safetensors".
        model: a Module.
        optimizer: an Optimizer. Beside a model, its state goes by the names of the model's parameters, else by the
            optimiser's own: positions, or the names that it was given.
        json_extra: numbers, texts, None, and lists, tuples and dicts of them; `load` returns them.

    Raises:
        ArgumentError: something in `json_extra` is no JSON value.
        DtypeError: a complex or extended dtype.
        OSError: the file cannot be written.

    Example:
        >>> import minigrad as mg
        >>> mg.save("notes.safetensors", epoch=3, shape=(8, 8))
        >>> mg.load("notes.safetensors")
        {'epoch': 3, 'shape': (8, 8)}
    """
    arrays: dict[str, Any] = {}

    def store(name: str, array: Any) -> None:
        if name in arrays or name == "__metadata__":
            raise ArgumentError(f"save: two tensors would be stored as {name!r}; rename the attribute of the model")
        arrays[name] = _host(array)

    document: dict[str, Any] = {"format": FORMAT, "model": None, "optimizer": None}
    if model is not None:
        state = model.state_dict()
        for name, array in state.items():
            store(name, array)
        document["model"] = {
            "names": list(state),
            "layers": {path: type(module).__name__ for path, module in model.named_modules()},
            "streams": {path: list(generator.state) for path, generator in model.named_generators()},
        }
    if optimizer is not None:
        moments = optimizer.state_dict()
        if model is not None:
            moments, document["optimizer_names"] = by_model(moments, model, optimizer), MODEL
        document["optimizer"] = pack(moments, OPTIMIZER, store)
    try:
        document["extra"] = pack(json_extra, "json_extra")
    except RecursionError:
        raise ArgumentError("save: json_extra is nested too deeply, or holds itself") from None
    sealed.write(path, arrays, document)


def load(
    path: str | os.PathLike[str], *, model: Any = None, optimizer: Any = None, strict: bool = True
) -> dict[str, Any]:
    """Fill `model` and `optimizer` from a file that `save` wrote, and return what was saved beside them.

    All or nothing: after an error both are what they were. Nothing is built and nothing imported.

    Args:
        path: the file.
        model: a Module with tensors of the same names and shapes; values are cast to the dtypes that it has.
        optimizer: an Optimizer of the same kind over the same parameters. Where it was saved beside a model, that is by
            name, and `model` must be given too.
        strict: refuse names that are missing here or there; otherwise those are passed over.

    Raises:
        CheckpointError: the file was altered, is cut off, is not minigrad's, lacks what is asked for, or does not fit.
        OSError: the file cannot be read.

    Example:
        >>> import minigrad as mg
        >>> model = mg.layer("Linear", 2, 3)
        >>> mg.save("linear.safetensors", model=model, note="untrained")
        >>> mg.load("linear.safetensors", model=mg.layer("Linear", 2, 3))
        {'note': 'untrained'}
    """
    arrays, document = sealed.read(path)
    if document.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: format {document.get('format')!r}; this version of minigrad reads {FORMAT}: install a newer one"
        )
    for what, given in (("model", model), ("optimizer", optimizer)):
        if given is not None and document.get(what) is None:
            held = [name for name in ("model", "optimizer") if document.get(name) is not None]
            raise CheckpointError(f"{path}: it holds no {what}, only {' and '.join([*held, 'what was saved beside'])}")
    try:
        extra: dict[str, Any] = unpack(document["extra"], arrays)
        if model is not None:
            part = document["model"]
            state = {name: arrays[name] for name in part["names"]}
            streams = {path: tuple(part["streams"][path]) for path in part["streams"]}
        moments = unpack(document["optimizer"], arrays) if optimizer is not None else None
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as problem:
        raise CheckpointError(f"{path}: its document is not as minigrad writes it: {problem!r}") from problem
    undo = _Undo(model, optimizer)
    try:
        if model is not None:
            model.load_state_dict(state, strict=strict)
            _set_streams(model, streams, strict)
        if optimizer is not None:
            if document.get("optimizer_names") == MODEL:
                moments = _of_model(moments, model, optimizer)
            optimizer.load_state_dict(moments)
    except BaseException as problem:
        undo()
        if not isinstance(problem, Exception):
            raise
        different = _other_layers(document["model"].get("layers"), model) if model is not None else ""
        raise CheckpointError(f"{path}: {problem}{different}") from problem
    return extra


def load_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """The tensors of any safetensors file, PyTorch's too, by name; bfloat16 comes as float32, which holds it exactly.

    Raises:
        CheckpointError: no safetensors file, a damaged one, one that `save` wrote and another program altered, one with
            a dtype or a shape that NumPy lacks, or with over 10,000 tensors of less than 1,000 bytes (other programs').
        OSError: the file cannot be read.

    Example:
        >>> import minigrad as mg
        >>> mg.save("linear.safetensors", model=mg.layer("Linear", 2, 3))
        >>> {name: array.shape for name, array in mg.load_tensors("linear.safetensors").items()}
        {'bias': (3,), 'weight': (3, 2)}
    """
    return sealed.read_any(path)


def _of_model(moments: Any, model: Any, optimizer: Any) -> Any:
    """An optimiser's state that goes by a model's names, for `optimizer`."""
    if model is not None:
        return by_optimizer(moments, model, optimizer)
    names = {name for name, _ in optimizer.named_parameters()}
    if names != {name for group in moments["param_groups"] for name in group["params"]}:
        raise CheckpointError(
            "the optimiser's state goes by the names of the model's parameters; load both together (model=…), or make "
            "the optimiser over model.named_parameters()"
        )
    return moments


class _Undo:
    """What model and optimiser were, to be put back when loading one of them fails after the other was filled."""

    def __init__(self, model: Any, optimizer: Any) -> None:
        self._model, self._optimizer = model, optimizer
        if model is not None:
            self._state = model.state_dict()
            self._streams = {path: generator.state for path, generator in model.named_generators()}
        if optimizer is not None:
            self._moments = optimizer.state_dict()

    def __call__(self) -> None:
        if self._model is not None:
            self._model.load_state_dict(self._state)
            _set_streams(self._model, self._streams, strict=True)
        if self._optimizer is not None:
            self._optimizer.load_state_dict(self._moments)


def _set_streams(model: Any, streams: dict[str, Any], strict: bool) -> None:
    mine = dict(model.named_generators())
    if strict and set(mine) != set(streams):
        raise CheckpointError(f"random streams do not fit: the file has {sorted(streams)}, the model {sorted(mine)}")
    for path in mine.keys() & streams.keys():
        mine[path].state = streams[path]


def _other_layers(saved: Any, model: Any) -> str:
    """Where the file's layers have other names than the model's, for a message; "" if nowhere."""
    mine = {path: type(module).__name__ for path, module in model.named_modules()}
    saved = saved if isinstance(saved, dict) else {}
    found = [
        f"{path or 'the model'} was {saved[path]}, here it is {mine[path]}"
        for path in mine
        if saved.get(path, mine[path]) != mine[path]
    ]
    return f"\n  layers differ: {'; '.join(found[:5])}" if found else ""


def _host(value: Any) -> Any:
    """A host array of a tensor, a NumPy array or an array on a device."""
    if isinstance(value, Tensor):
        return value.numpy()
    return value if isinstance(value, np.ndarray) else backend_of(value).to_host(value)
