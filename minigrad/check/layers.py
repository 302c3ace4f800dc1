"""The conformance kit: any layer, ours or a stranger's, put through every promise from its declaration alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import get_backend
from minigrad.check import promises
from minigrad.check.report import CheckError, Finding, Report, lines
from minigrad.check.trial import Trial
from minigrad.core import MODES
from minigrad.core.modes import use_device
from minigrad.errors import ArgumentError, ArgumentTypeError, BackendUnavailable
from minigrad.module import Module, Sample
from minigrad.module.catalogue import REGISTRY

BOTH, TRAIN, EVAL = ("train", "eval"), ("train",), ("eval",)


class Check(NamedTuple):
    """One promise and where it is looked at: in which modes, and with which further arguments."""

    name: str
    run: Callable[..., str]
    modes: tuple[str, ...] = BOTH
    over: tuple[Any, ...] = ()  # one run for each


def checks(order: int, backends: Sequence[str]) -> tuple[Check, ...]:
    """The promises of every layer, in the order in which a report lists them."""
    return (
        Check("values", promises.values),
        Check("constants", promises.constants),
        Check("gradients", promises.orders, over=(order,)),
        Check("textbook", promises.textbook, over=(order,)),
        Check("dtypes", promises.dtypes, over=("float16", "float32", "float64")),
        Check("evaluation", promises.evaluation, EVAL),
        Check("state", promises.state, TRAIN),
        Check("batches", promises.batches),
        Check("layouts", promises.layouts),
        Check("backends", promises.backends, over=tuple(b for b in backends if b != "numpy")),
        Check("remat", promises.rematerialised),
        Check("program", promises.recorded),
        Check("drawing", promises.drawn, TRAIN),
        Check("repr", promises.shown, TRAIN),
    )


def layer(
    target: type[Module] | str | Module,
    *,
    backends: Sequence[str] | None = None,
    order: int = 3,
    samples: Sequence[Sample] | None = None,
    seed: int = 0,
) -> Report:
    """Put a layer through everything that a layer promises, on each of its samples, in training and in evaluation.

    Values and gradients of every input and parameter, to `order`, against differences; the textbook form; constant
    leaks; float16, float32 and float64; state by dict, file and copy; batches of one, three and none; other layouts in
    memory; other backends, with the same masks; `remat`; a program recorded without values; drawings; repr. What is
    random draws the same numbers in each run, and what is under `stop_gradient` stays what it was.

    Args:
        target: a layer's class, its registered name, or a module that is there (its parameters are used, a copy runs).
        backends: names of the backends to compare with NumPy; by default CuPy's stand-in, and CuPy where there is one.
        order: how often to differentiate.
        samples: in place of `target.samples`; for a module only their inputs and keywords are used.
        seed: of the values.

    Returns:
        A report whose `findings` has a line for each check; `print` it.

    Raises:
        CheckError: a promise does not hold; the message is the lines that failed, `.report` has all of them.
        ArgumentError: the layer declares no samples.

    Example:
        >>> import minigrad as mg
        >>> from minigrad_layers import ReLU
        >>> report = mg.check.layer(ReLU, order=1)
        >>> report.what, len(report.failed)
        ('ReLU', 0)
    """
    cls, found = declared(target, samples)
    names = _backends(backends)
    findings: list[Finding] = []
    for sample in found:
        make = maker(target, cls, sample)
        findings += _tried(f"{cls.__name__}({sample})", make, sample, seed, checks(order, names))
    report = Report(cls.__name__, len(findings), float(any(not f.passed for f in findings)), 0.0, tuple(findings))
    if report.failed:
        head = f"{cls.__name__}: {len(report.failed)} of {len(findings)} checks fail"
        raise CheckError(f"{head}\n{lines(report.failed)}", report)
    return report


def declared(target: Any, samples: Sequence[Sample] | None) -> tuple[type[Module], tuple[Sample, ...]]:
    """The class of a layer that is given by class, name or object, and the samples to try it on."""
    cls = REGISTRY[target] if isinstance(target, str) else type(target) if isinstance(target, Module) else target
    if not (isinstance(cls, type) and issubclass(cls, Module)):
        raise ArgumentTypeError(f"layer: {target!r} is no layer; give a Module, its class, or its registered name")
    found = Sample.of(cls) if samples is None else tuple(samples)
    if not found:
        raise ArgumentError(
            f"{cls.__name__} declares no samples, so there is nothing to try it on; write "
            "samples = (mg.Sample((constructor's arguments), inputs=((2, 3),)),) in the class, or give samples="
        )
    return cls, found


def maker(target: Any, cls: type[Module], sample: Sample) -> Callable[[], Module]:
    """What makes the layer for a sample: a copy of the module that was given, or the class with its arguments."""
    if isinstance(target, Module):
        return lambda: deepcopy(target)
    return lambda: sample.build(cls)


def _backends(names: Sequence[str] | None) -> tuple[str, ...]:
    if names is not None:
        for name in names:
            get_backend(name)
        return tuple(names)
    try:
        get_backend("cupy")
    except BackendUnavailable:
        return ("fakecupy",)
    return "fakecupy", "cupy"


def _tried(title: str, make: Callable[[], Module], sample: Sample, seed: int, table: Sequence[Check]) -> list[Finding]:
    """A line for each check; what cannot even be constructed has one."""
    with use_device(MODES.get().device or "numpy"):
        try:
            trial = Trial(make, sample, seed)
        except Exception as problem:  # noqa: BLE001  # a stranger's layer may raise anything
            return [Finding("sample", title, "", False, _told(problem))]
        return [
            _looked(check, trial.mode(mode == "train"), mode, title, extra)
            for check in table
            for extra in check.over or ((),)
            for mode in check.modes
        ]


def _looked(check: Check, trial: Trial, mode: str, title: str, extra: Any) -> Finding:
    where = mode if extra == () or check.name in ("gradients", "textbook") else f"{extra} {mode}"
    try:
        with np.errstate(all="ignore"):
            detail = check.run(trial, *(() if extra == () else (extra,)))
    except Exception as problem:  # noqa: BLE001  # a stranger's layer may raise anything, and the next check still runs
        return Finding(check.name, title, where, False, _told(problem))
    return Finding(check.name, title, where, True, detail)


def _told(problem: Exception) -> str:
    if isinstance(problem, AssertionError):
        return str(problem)
    return f"{type(problem).__name__}: {problem}"
