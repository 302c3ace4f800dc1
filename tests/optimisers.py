"""The optimisers, each with the options that the tests try: a row here is all that a new one needs of the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg

OPTIMISERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.1}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "dampening": ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.05}),
    "decay": ("SGD", {"lr": 0.1, "dampening": 0.3, "weight_decay": 0.1}),
    "uphill": ("SGD", {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.3, "maximize": True}),
    "adam": ("Adam", {"lr": 0.1}),
    "adam decay": ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "amsgrad": ("Adam", {"lr": 0.1, "betas": (0.8, 0.7), "amsgrad": True, "weight_decay": 0.1}),
    "adamw": ("AdamW", {"lr": 0.1, "weight_decay": 0.2}),
    "adamw 0": ("AdamW", {"lr": 0.1, "weight_decay": 0.0}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad decay": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-3},
    ),
    "rmsprop": ("RMSprop", {"lr": 0.1}),
    "rmsprop centered": (
        "RMSprop",
        {"lr": 0.1, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.5, "centered": True},
    ),
    "adadelta": ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
    "adamax": ("Adamax", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "nadam": ("NAdam", {"lr": 0.1, "betas": (0.8, 0.95), "momentum_decay": 0.1, "weight_decay": 0.1}),
    "nadam decoupled": ("NAdam", {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True}),
    "radam": ("RAdam", {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "radam at first": ("RAdam", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    "lion": ("Lion", {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    "adamw amsgrad uphill": ("AdamW", {"lr": 0.1, "betas": (0.8, 0.7), "amsgrad": True, "maximize": True}),
}


def kinds() -> dict[str, type[mg.optim.Optimizer]]:
    """Every optimiser that minigrad exports."""
    there = {name: getattr(mg.optim, name) for name in mg.optim.__all__}
    classes = {name: kind for name, kind in there.items() if isinstance(kind, type)}
    return {name: kind for name, kind in classes.items() if issubclass(kind, mg.optim.Optimizer)}


def make(name: str, params: Any, **options: Any) -> mg.optim.Optimizer:
    """The optimiser of a row."""
    kind, given = OPTIMISERS[name]
    optimizer: mg.optim.Optimizer = getattr(mg.optim, kind)(params, **{**given, **options})
    return optimizer


def start() -> np.ndarray[Any, Any]:
    """Where the ten steps begin that are compared with PyTorch's."""
    return np.random.default_rng(5).standard_normal((2, 3))


def gradients() -> np.ndarray[Any, Any]:
    """The gradients of these steps."""
    return np.random.default_rng(6).standard_normal((10, 2, 3))
