"""Devices: a third party's backend from an installed distribution, moving, mixing, bad indices (B2, B4, P1)."""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import twin

import minigrad as mg
from minigrad.backend import Backend, available, get_backend, register_backend
from minigrad_layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, ReLU, Sequential

HERE = [name for name, reason in available().items() if not reason]


@pytest.fixture(scope="module")
def library() -> Backend:
    """The worked backend, as the table knows it when its distribution is installed."""
    return register_backend(twin.TwinBackend()) if twin.Array not in mg.backend.BACKENDS else get_backend("twin")


def install(folder: Path, dist: str, **points: str) -> None:
    """The metadata of a distribution that offers backends."""
    info = folder / f"{dist.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
    listed = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[minigrad.backends]\n{listed}")


def run(code: str, *folders: Path) -> str:
    """What a process prints that finds the distributions in `folders`."""
    head = f"import sys; sys.path[:0] = {list(map(str, folders))!r}\n"
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- a third party's backend


def test_an_installed_distribution_brings_a_backend(tmp_path: Path) -> None:
    install(tmp_path, "twin-arrays", twin="twin:TwinBackend")
    code = (
        "import minigrad as mg\n"
        "print('twin' in sys.modules)\n"  # nobody has named it yet
        "x = mg.tensor([1.0, 2.0], device='twin:1')\n"
        "print((x * 2).device, mg.backend.available()['twin'] == '')\n"
    )
    assert run(code, tmp_path, Path(twin.__file__).parent).split() == ["False", "twin:1", "True"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("nowhere:Backend", "backend 'bad' of the plugin nowhere:Backend (bad-arrays) cannot be loaded: ModuleNot"),
        ("json:nothing", "(bad-arrays) cannot be loaded: AttributeError"),
        ("json:loads", "(bad-arrays) cannot be loaded: TypeError"),
        ("builtins:dict", "(bad-arrays) gave {}, no Backend named 'bad'"),
        ("twin:TwinBackend", "no Backend named 'bad'"),
    ],
)
def test_a_broken_backend_is_named_with_its_distribution(value: str, told: str, tmp_path: Path) -> None:
    install(tmp_path, "bad-arrays", bad=value)
    code = (
        "import minigrad as mg\n"
        "print(mg.backend.available()['bad'])\n"
        "try: mg.tensor(1.0, device='bad')\n"
        "except mg.errors.MinigradError as problem: print(problem)\n"
        "print(mg.tensor(1.0) + 1)\n"
    )
    first, second, third = run(code, tmp_path, Path(twin.__file__).parent).splitlines()
    assert told in first
    assert second == first
    assert third == "tensor(2.)"


def test_two_backends_of_one_name_are_both_named(tmp_path: Path) -> None:
    install(tmp_path, "twin-arrays", twin="twin:TwinBackend")
    install(tmp_path, "other-arrays", twin="other:Backend")
    told = run("import minigrad as mg\nprint(mg.backend.available()['twin'])", tmp_path)
    assert "twin:TwinBackend (twin-arrays)" in told
    assert "other:Backend (other-arrays)" in told


def trained(device: str) -> list[np.ndarray[Any, Any]]:
    mg.random.seed(5)
    with mg.use_device(device):
        model = Sequential(Conv2d(1, 4, 3, padding=1), BatchNorm2d(4), ReLU(), Dropout(0.2), Flatten(), Linear(256, 3))
        optimizer = mg.optim.SGD(model.parameters(), lr=0.1)  # Adam would blow up the rounding of a zero gradient
        x, t = mg.random.normal((5, 1, 8, 8), dtype="float32"), mg.tensor([0, 1, 2, 1, 0])
        for _ in range(3):
            optimizer.zero_grad()
            mg.losses.cross_entropy(model(x), t).backward()
            optimizer.step()
        assert {p.device for p in model.parameters()} == {mg.backend.parse_device(device)}
        return [array for _, array in sorted(model.state_dict().items())]


@pytest.mark.parametrize("device", ["twin:0", "twin:1", "fakecupy"])
def test_a_network_trains_on_it_as_on_numpy(device: str, library: Backend) -> None:
    for ours, theirs in zip(trained(device), trained("numpy"), strict=True):
        assert np.abs(ours - theirs).max(initial=0) <= 1e-5


def test_the_second_derivative_is_there_too(library: Backend) -> None:
    x = mg.tensor([0.3, -0.4], device="twin:1")
    with mg.use_device("twin:1"):
        h = mg.hessian(lambda v: mg.sum(mg.sin(v) * v * v))(x)
    expected = mg.hessian(lambda v: mg.sum(mg.sin(v) * v * v))(mg.tensor([0.3, -0.4], device="numpy"))
    assert h.device == "twin:1"
    assert np.abs(h.numpy() - expected.numpy()).max() <= 1e-14


# ---- moving


@pytest.mark.parametrize("target", ["numpy", "fakecupy", "twin:1"])
@pytest.mark.parametrize("source", ["numpy", "fakecupy", "twin:0"])
def test_to_moves_and_gradients_come_back(source: str, target: str, library: Backend) -> None:
    x = mg.tensor([1.0, 2.0], device=source, requires_grad=True)
    moved = x.to(target)
    assert (moved.device, x.device) == (target, source)
    with mg.use_device(target):
        mg.sum(moved * moved).backward()
    assert x.grad is not None
    assert (x.grad.device, x.grad.tolist()) == (source, [2.0, 4.0])
    copied = mg.tensor(x, device=target)
    assert (copied.device, copied.tolist()) == (target, [1.0, 2.0])
    assert mg.tensor(x).device == source
    assert mg.tensor(moved.data).device == target or target == "numpy"  # an array of a device stays there


def test_use_device_is_undone_also_after_an_error(library: Backend, backend: str) -> None:
    here = mg.tensor(1.0).device
    with pytest.raises(KeyError), mg.use_device("twin:1"):
        assert mg.tensor(1.0).device == mg.zeros(2).device == "twin:1"
        with mg.use_device("fakecupy"):
            assert mg.ones(2).device == "fakecupy"
        assert mg.zeros(2).device == "twin:1"
        raise KeyError
    assert mg.tensor(1.0).device == here
    assert twin.CURRENT.get() == 0

    @mg.use_device("twin:1")
    def inside(depth: int) -> str:
        return inside(depth - 1) if depth else str(mg.ones(1).device)

    assert (inside(2), mg.tensor(1.0).device) == ("twin:1", here)


def test_a_device_that_is_not_there(library: Backend) -> None:
    for name, told in (("twin:2", "there are twin:0 and twin:1"), ("tpu", "no backend has this name; there are numpy")):
        for ask in (mg.use_device, mg.tensor(1.0).to, lambda d: mg.tensor(1.0, device=d)):
            with pytest.raises(mg.errors.DeviceError, match=told):
                ask(name)


def test_transfers_are_counted() -> None:
    """B2: what crosses is what was asked for."""
    counts = get_backend("fakecupy").transfers
    x = mg.tensor([1.0, 2.0], device="fakecupy", requires_grad=True)
    before = counts.to_device, counts.to_host, counts.waits
    mg.sum(mg.exp(x) * x).backward()
    assert (counts.to_device, counts.to_host, counts.waits) == before
    x.numpy()
    x.to("numpy")
    assert counts.to_host == before[1] + 2
    mg.tensor([1.0]).to("fakecupy")
    assert counts.to_device >= before[0] + 1
    x[mg.tensor([True, False], device="fakecupy")]  # its size is known on the device only
    assert counts.waits > before[2]


# ---- mixing

MIXED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "operator": (lambda a, b: a + b, "add: argument 'a' on {a}, argument 'b' on {b}"),
    "matmul": (lambda a, b: a @ b, "matmul: argument 'a' on {a}, argument 'b' on {b}"),
    "variadic": (lambda a, b: mg.concat([a, b]), "concat: argument xs[0] on {a}, argument xs[1] on {b}"),
    "where": (lambda a, b: mg.where(a > 1, a, b), "'condition' on {a}, argument 'a' on {a}, argument 'b' on {b}"),
    "maximum": (lambda a, b: mg.maximum(a, b), "maximum: argument 'a' on {a}, argument 'b' on {b}"),
}


@pytest.mark.parametrize("pair", [("numpy", "fakecupy"), ("fakecupy", "twin:0"), ("twin:0", "twin:1")], ids="-".join)
@pytest.mark.parametrize("what", MIXED)
def test_devices_never_mix(what: str, pair: tuple[str, str], library: Backend) -> None:
    call, told = MIXED[what]
    for a, b in (pair, pair[::-1]):
        with pytest.raises(mg.errors.DeviceError) as caught:
            call(mg.tensor([1.0, 2.0], device=a), mg.tensor([1.0, 2.0], device=b))
        assert told.format(a=repr(a), b=repr(b)) in str(caught.value)
        assert "move one with x.to(device)" in str(caught.value)


# ---- indices

BAD: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "rows": (lambda x, i: x[i], "getitem"),
    "columns": (lambda x, i: x[:, i], "getitem"),
    "pairs": (lambda x, i: x[i, i], "getitem"),
    "an int": (lambda x, i: x[7], "getitem"),
    "a list": (lambda x, i: x[[0, 7]], "getitem"),
    "too many": (lambda x, i: x[0, 0, 0], "getitem"),
    "take": (lambda x, i: mg.take(x, i, axis=1), "getitem"),
    "take_along_axis": (lambda x, i: mg.take_along_axis(x, mg.broadcast_to(i[None, 1:2], (1, 1)), axis=1), "getitem"),
    "scatter_add": (lambda x, i: mg.scatter_add(x, i, 1.0), "scatter_add"),
}


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (1, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("device", HERE)
@pytest.mark.parametrize("what", BAD)
def test_an_index_out_of_bounds_raises_and_names_the_operation(what: str, device: str, shape: tuple[int, ...]) -> None:
    """B4: on the host at once, on a device at the latest at the copy to the host."""
    call, op = BAD[what]
    if what == "take_along_axis" and not shape[0]:
        shape = (1, shape[1])  # without a row there is nothing to take from
    x = mg.tensor(np.zeros(shape), device=device)
    i = mg.tensor(np.array([0, 7, -9]), device=device)
    with pytest.raises(IndexError) as caught:
        call(x, i).numpy()
    assert isinstance(caught.value, mg.errors.BoundsError)
    assert op in "".join(traceback.format_exception_only(caught.value))
    if shape == (3, 4):
        assert x.numpy().shape == shape  # told once
    with suppress(IndexError):  # an index of two parts may have had two faults
        get_backend(device).synchronize()


@pytest.mark.parametrize("label", [4, -1])
@pytest.mark.parametrize("device", HERE)
@pytest.mark.parametrize("what", ["one_hot", "cross_entropy", "nll"])
def test_a_label_that_is_no_class_raises(what: str, device: str, label: int) -> None:
    """B4, where labels are what indexes; a negative one does not count from the end."""
    labels, rows = mg.tensor([0, label], device=device), mg.tensor(np.zeros((2, 4)), device=device)
    with pytest.raises(IndexError):
        (mg.one_hot(labels, 4) if what == "one_hot" else getattr(mg.losses, what)(rows, labels)).numpy()
