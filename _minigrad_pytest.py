"""pytest --minigrad-layers: every installed layer, on each of its samples, as tests of the conformance kit.

pytest imports this in every run of an environment that has minigrad, so it is a module of its own that imports nothing:
minigrad is loaded when one of the two options is given, and never before.
"""


def pytest_addoption(parser):  # type: ignore[no-untyped-def]  # whose types would have to be imported
    """The options."""
    group = parser.getgroup("minigrad")
    group.addoption(
        "--minigrad-layers",
        action="store_true",
        help="check every installed layer of minigrad (minigrad.check.layer), a test for each of its samples",
    )
    group.addoption(
        "--minigrad-layers-of",
        action="append",
        metavar="NAME",
        help="the same for the layers of one distribution, or for one layer; may be given again",
    )


def pytest_configure(config):  # type: ignore[no-untyped-def]
    """Load the rest if it was asked for."""
    if config.getoption("--minigrad-layers") or config.getoption("--minigrad-layers-of"):
        from minigrad.check import collect

        config.pluginmanager.register(collect, "minigrad-layers")
