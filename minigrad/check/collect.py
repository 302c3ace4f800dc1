"""What `pytest --minigrad-layers` adds: a test for each sample of each installed layer. pytest alone loads this."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from minigrad.check.layers import layer
from minigrad.check.report import CheckError
from minigrad.module import Module, Sample, layers
from minigrad.module.catalogue import REGISTRY


class LayerTest(pytest.Item):
    """`minigrad.check.layer` of one layer on one sample; None for a layer that declares none, which fails."""

    def __init__(self, *, target: type[Module], sample: Sample | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.target, self.sample = target, sample

    def runtest(self) -> None:
        """Put it through the kit."""
        layer(self.target, samples=None if self.sample is None else [self.sample])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The lines of the report that failed; no traceback through the kit."""
        if isinstance(excinfo.value, CheckError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Where the layer is written."""
        try:
            return inspect.getsourcefile(self.target) or "", inspect.getsourcelines(self.target)[1] - 1, self.name
        except (OSError, TypeError):  # made in a notebook, or by exec
            return self.target.__module__, None, self.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the tests, before `-k` and the like choose among all."""
    of = config.getoption("--minigrad-layers-of") or []
    found = layers()
    unknown = [n for n in of if not any(n in (info.name, info.origin) for info in found.values())]
    if unknown:
        origins = sorted({info.origin for info in found.values()})
        raise pytest.UsageError(
            f"--minigrad-layers-of={unknown[0]}: neither a layer nor a distribution that has layers; there are "
            f"{', '.join(origins)}"
        )
    for name, info in found.items():
        if of and name not in of and info.origin not in of:
            continue
        cls = REGISTRY[name]
        for sample in Sample.of(cls) or (None,):
            title = f"minigrad-layers::{info.origin}::{name}({'' if sample is None else sample})"
            items.append(LayerTest.from_parent(session, name=title, target=cls, sample=sample))
