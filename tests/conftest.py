"""What every test stands on: the backend it runs on, the length of its checks, fixed seeds.

pytest --backend=fakecupy     everything on CuPy's stand-in (cupy: on a GPU)
pytest --nightly              the long forms, and the tests marked `nightly`
pytest --quick=off            everything on the plain engine, without its quick paths
"""

from __future__ import annotations

import os
import random
import signal
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings

import minigrad as mg
from minigrad.backend import get_backend
from minigrad.core import quick
from minigrad.doctor import blas, cpu
from minigrad.errors import MinigradError

settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=100)
settings.register_profile("nightly", deadline=None, print_blob=True, max_examples=2500)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend", default="numpy", metavar="NAME", help="default device of every test: numpy, fakecupy, cupy"
    )
    parser.addoption(
        "--quick", choices=("on", "off"), default="on" if quick.on() else "off", help="the engine's quick paths"
    )
    parser.addoption("--nightly", action="store_true", help="run the long form of every check")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("nightly" if config.getoption("--nightly") else "ci")
    # `dot`, matplotlib and the command line must not look for a screen or a width that only this machine has.
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ["COLUMNS"] = "120"
    os.environ["MINIGRAD_QUICK"] = config.getoption("--quick")  # for processes that tests start
    quick.switch(config.getoption("--quick") == "on")
    # A shell makes its background jobs deaf to Ctrl-C, with all that they start; the tests and their processes hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        get_backend(config.getoption("--backend"))
    except MinigradError as problem:
        raise pytest.UsageError(f"--backend={config.getoption('--backend')}: {problem}") from problem


def _machine() -> str:
    """What of the machine may decide over last digits: the loops that NumPy takes, the threads of matrix products."""
    return f"cpu: {cpu()}\nblas: {blas()}"


def pytest_report_header(config: pytest.Config) -> str:
    return _machine()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """A red run says it too, at its end, where `-q` leaves out the header."""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.section("machine")
        terminalreporter.line(_machine())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--nightly"):
        return
    long = pytest.mark.skip(reason="a long form; runs with --nightly (scripts/nightly)")
    for item in items:
        if "nightly" in item.keywords:
            item.add_marker(long)


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """The name given by --backend."""
    return str(request.config.getoption("--backend"))


@pytest.fixture(scope="session")
def nightly(request: pytest.FixtureRequest) -> bool:
    """Whether the long forms were asked for; for a number of examples, use `nightly` in an expression."""
    return bool(request.config.getoption("--nightly"))


@pytest.fixture(autouse=True)
def _house(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test starts from the same seeds, on the backend that was asked for."""
    backend = str(request.config.getoption("--backend"))  # a table of tests may have parameters named `backend`
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (for libraries that draw from the global generator)
    mg.random.seed(0)
    if backend == "numpy":  # the default; code under test sees what a user sees who said nothing
        yield
    else:
        with mg.use_device(backend):
            yield


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator of its own for each test, the same in every run and in every order."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
