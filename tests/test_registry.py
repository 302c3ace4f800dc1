"""The registry against real distributions, written into a folder on the import path."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from minigrad.errors import PluginError, PluginWarning, UnknownLayerError
from minigrad.registry import Origin, Registry

GROUP = "minigrad_test.things"
TABLES: list[Registry[type]] = []  # where the plugins written below register, the last one counts


def register(cls: type) -> type:
    TABLES[-1].register(cls.__name__, cls)
    return cls


Install = Callable[..., Path]
HEAD = "import sys\nregister = sys.modules['registry_under_test'].register\n"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Registry[type]:
    monkeypatch.delenv("MINIGRAD_PLUGINS", raising=False)
    monkeypatch.setitem(sys.modules, "registry_under_test", sys.modules[__name__])
    found = Registry[type](
        "layer", GROUP, unknown=UnknownLayerError, clash=PluginError, broken=PluginWarning, hint="see `list`"
    )
    monkeypatch.setattr(sys.modules[__name__], "TABLES", [found])
    return found


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write a module and the metadata of the distribution that offers it, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(module: str, code: str, *, dist: str, target: str = "", name: str = "standard") -> Path:
        file = tmp_path / f"{module}.py"
        file.write_text(HEAD + code)
        info = tmp_path / f"{dist.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target or module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()
        return file

    return write


DROPOUT = "@register\nclass Dropout: pass\n"
LINEAR = "@register\nclass Linear: pass\n@register\nclass BatchNorm2d: pass\n"


def test_what_two_threads_find_broken_is_told_of_once(
    table: Registry[type], install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are in the middle of looking when the plugin fails, and it fails for each."""
    begun, go = threading.Event(), threading.Event()
    monkeypatch.setattr(sys.modules[__name__], "GATES", (begun, go), raising=False)
    code = (
        "gates = sys.modules['registry_under_test'].GATES\ngates[0].set()\ngates[1].wait(30)\nraise ValueError('no')\n"
    )
    install("plug_slow_and_broken", code, dist="plug-slow")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=lambda: "Dropout" in table) for _ in range(2)]
        threads[0].start()
        assert begun.wait(30)
        threads[1].start()
        deadline = time.monotonic() + 30
        while len(table._looking) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        go.set()
        for thread in threads:
            thread.join(30)
    assert ["plug-slow" in str(warning.message) for warning in told] == [True]


def test_a_miss_loads_the_plugins_and_a_hit_does_not(table: Registry[type], install: Install) -> None:
    file = install("plug_lazy", LINEAR, dist="plug-lazy")
    table.register("Integer", int)
    assert table["Integer"] is int
    assert "plug_lazy" not in sys.modules
    assert "not looked for yet" in repr(table)
    linear = table["Linear"]
    assert (linear.__module__, table.get("Linear")) == ("plug_lazy", linear)
    assert table.origin("Linear") == Origin("plug_lazy", str(file), "plug-lazy")
    assert table.origin("Integer").distribution == ""
    assert repr(table) == "<Registry of 3 layers>"


def test_the_listing_is_a_mapping_by_name_with_origins(table: Registry[type], install: Install) -> None:
    install("plug_b", DROPOUT, dist="plug-b")
    install("plug_a", LINEAR, dist="plug-a", name="another")
    assert list(table) == ["BatchNorm2d", "Dropout", "Linear"]
    assert len(table) == 3
    assert dict(table.items())["Dropout"] is table["Dropout"]
    assert [(e.name, e.origin.module, e.origin.distribution) for e in table.entries()] == [
        ("BatchNorm2d", "plug_a", "plug-a"),
        ("Dropout", "plug_b", "plug-b"),
        ("Linear", "plug_a", "plug-a"),
    ]


def test_a_module_that_was_imported_before_still_has_its_distribution(table: Registry[type], install: Install) -> None:
    install("plug_early", LINEAR, dist="plug-early")
    importlib.import_module("plug_early")
    assert table.origin("Linear").distribution == "plug-early"


def test_an_entry_point_may_name_one_object(table: Registry[type], install: Install) -> None:
    install("plug_object", "class Thing: pass\n", dist="plug-object", target="plug_object:Thing", name="thing")
    assert table["thing"].__name__ == "Thing"
    assert table.origin("thing").distribution == "plug-object"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Linaer", r"no layer is called 'Linaer'; did you mean 'Linear'\?; see `list`"),
        ("batchnorm2d", "did you mean 'BatchNorm2d'"),
        ("Zzz", "no layer is called 'Zzz'; there are BatchNorm2d, Linear; see `list`"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    table: Registry[type], install: Install, name: str, message: str
) -> None:
    install("plug_typo", LINEAR, dist="plug-typo")
    for ask in (table.__getitem__, table.get, table.origin):
        with pytest.raises(UnknownLayerError, match=message):
            ask(name)
    assert name not in table
    assert table.get(name, None) is None
    assert 3 not in table


def test_two_plugins_of_one_name_raise_and_name_both_files(table: Registry[type], install: Install) -> None:
    first = install("plug_one", DROPOUT, dist="plug-one", name="a")
    second = install("plug_two", DROPOUT, dist="plug-two", name="b")
    for _ in range(2):  # not only the first time
        with pytest.raises(PluginError, match="two plugins register a layer called 'Dropout'") as caught:
            list(table)
        assert f"{first} (plug-one) and {second} (plug-two)" in str(caught.value)


def test_the_same_code_run_again_replaces_itself(table: Registry[type]) -> None:
    def cell() -> type:
        class Dropout:
            pass

        return register(Dropout)

    first, second = cell(), cell()
    assert first is not second
    assert table["Dropout"] is second
    table.register("Dropout", second)
    with pytest.raises(PluginError, match="called 'Dropout'"):
        table.register("Dropout", int)
    with pytest.raises(ValueError, match="name must be a string"):
        table.register("", int)


@pytest.mark.parametrize(
    ("code", "target", "cause"),
    [
        ("raise ValueError('no such device')", "", "ValueError: no such device"),
        ("import plug_missing_dependency", "", "ModuleNotFoundError"),
        ("def broken(:", "", "SyntaxError"),
        ("", "plug_broken:nothing", "AttributeError"),
    ],
)
def test_a_broken_plugin_warns_and_the_rest_goes_on(
    table: Registry[type], install: Install, code: str, target: str, cause: str
) -> None:
    install("plug_broken", code, dist="plug-broken", target=target, name="a")
    install("plug_fine", LINEAR, dist="plug-fine", name="b")
    with pytest.warns(
        PluginWarning, match=f"'a' of the distribution 'plug-broken' could not be loaded.*{cause}"
    ) as seen:
        assert "Linear" in table
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(table) == 2  # told once


def test_plugins_can_be_switched_off(table: Registry[type], install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("plug_off", LINEAR, dist="plug-off")
    monkeypatch.setenv("MINIGRAD_PLUGINS", "off")
    assert len(table) == 0
    with pytest.raises(UnknownLayerError, match="no layer is registered at all; MINIGRAD_PLUGINS=off keeps"):
        table["Linear"]
    monkeypatch.delenv("MINIGRAD_PLUGINS")
    assert len(table) == 2


def test_a_plugin_may_ask_the_registry_while_it_loads(table: Registry[type], install: Install) -> None:
    code = "sys.modules['registry_under_test'].TABLES[-1].get('Nothing', None)\nclass Thing: pass\n"
    install("plug_asks", code, dist="plug-asks", target="plug_asks:Thing", name="thing")
    assert list(table) == ["thing"]


def test_threads_that_ask_and_import_at_once(table: Registry[type], install: Install) -> None:
    slow = "import time\ntime.sleep(0.05)\n"
    for n in range(4):
        code = f"{slow}@register\nclass Layer{n}: pass\n{slow}"
        install(f"plug_thread_{n}", code, dist=f"plug-thread-{n}", name=str(n))
    # What measures coverage meets the new sys.path with the next file that runs, and puts sys.modules back as it was;
    # so it must not be one of the threads' files.
    install("plug_thread_first", "", dist="plug-thread-first", name="first")
    importlib.import_module("plug_thread_first")
    start = threading.Barrier(8)
    found: list[object] = []

    def ask(n: int) -> None:
        start.wait()
        if n % 2:
            importlib.import_module(f"plug_thread_{n // 2}")  # holds the import lock and registers
        found.append(table[f"Layer{n // 2}"])

    threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert not any(thread.is_alive() for thread in threads)
    assert len(found) == 8
    assert len(set(found)) == 4


LIGHT = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("registry", sys.argv[1])
sys.modules["registry"] = module = module_from_spec(spec)
spec.loader.exec_module(module)
sys.exit("importlib.metadata" in sys.modules)
"""


def test_importing_the_registry_does_not_import_the_metadata_machinery() -> None:
    file = Path(__file__).resolve().parent.parent / "minigrad" / "registry.py"
    assert subprocess.run([sys.executable, "-I", "-c", LIGHT, str(file)], check=False, timeout=60).returncode == 0
