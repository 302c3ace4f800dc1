"""Every backend keeps the contract of `Backend`: one table, each backend against NumPy's plain words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minigrad.backend import BACKENDS, Backend, available, backend_of, get_backend, parse_device, transfer
from minigrad.errors import (
    ArgumentError,
    BackendUnavailable,
    BoundsError,
    DeviceError,
    DtypeError,
    ShapeError,
    UnknownArrayError,
)

NAMES = [name for name, reason in available().items() if not reason]
FLOATS = [np.float16, np.float32, np.float64]
RNG = np.random.default_rng(7)


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest) -> Backend:
    return get_backend(request.param)


def same(backend: Backend, y: object, expected: np.ndarray) -> None:
    """Of this backend, of this shape and dtype, and these values."""
    assert type(y) is backend.array_type
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    assert np.array_equal(backend.to_host(y), expected, equal_nan=expected.dtype.kind in "fc")


def test_the_table_knows_arrays_and_scalars(backend: Backend) -> None:
    assert backend_of(backend.asarray([1.0])) is backend
    for kind in (np.float16, np.float32, np.float64, np.int8, np.int64, np.uint16, np.bool_):
        assert BACKENDS[kind].name == "numpy"


@pytest.mark.parametrize("thing", [[1.0], 1.0, "a", None, np.ma.array([1.0])], ids=lambda t: type(t).__name__)
def test_an_unknown_array_is_told_where_to_go(thing: object) -> None:
    with pytest.raises(UnknownArrayError, match=rf"{type(thing).__name__}.*mg\.tensor") as caught:
        backend_of(thing)
    assert isinstance(caught.value, TypeError)


def test_devices_have_full_names(backend: Backend) -> None:
    device = backend.device_of(backend.asarray([1.0]))
    assert parse_device(backend.name) == device == parse_device(device)
    with pytest.raises(DeviceError, match="99"):
        parse_device(f"{backend.name}:99")


def test_an_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(DeviceError, match=r"'tpu'.*numpy, cupy, fakecupy"):
        get_backend("tpu")


def test_a_missing_library_says_what_to_install() -> None:
    if "cupy" in NAMES:
        pytest.skip("CuPy and a device are here")
    with pytest.raises(BackendUnavailable, match=r"cupy-cuda13x|nvidia-smi"):
        get_backend("cupy")


@pytest.mark.parametrize(
    "data", [3, 2.5, True, [[1, 2], [3, 4]], np.arange(6.0).reshape(2, 3).T, np.float32(2)], ids=repr
)
def test_asarray_copies(backend: Backend, data: object) -> None:
    y = backend.asarray(data)
    same(backend, y, np.array(data))
    again = backend.asarray(y, np.float32)
    same(backend, again, np.array(data, np.float32))
    if np.ndim(data):
        backend.asarray(y)[0] = 9
        same(backend, y, np.array(data))
        backend.copy(backend.freeze(y))[0] = 9  # a copy can be written, its source stays
        same(backend, y, np.array(data))


@pytest.mark.parametrize(
    ("data", "error"),
    [([[1, 2], [3]], ShapeError), ("text", DtypeError), ([None], DtypeError), ([1 << 80], DtypeError)],
)
def test_asarray_takes_numbers_only(backend: Backend, data: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        backend.asarray(data)


def test_to_host_is_fresh_and_writable(backend: Backend) -> None:
    a = backend.freeze(backend.asarray([1.0, 2.0]))
    host = backend.to_host(a)
    assert type(host) is np.ndarray
    host[0] = 5.0
    same(backend, a, np.array([1.0, 2.0]))


@pytest.mark.parametrize("pair", [*itertools.product(NAMES, NAMES)], ids="-".join)
def test_transfer(pair: tuple[str, str]) -> None:
    source, target = map(get_backend, pair)
    a = source.asarray(np.arange(3, dtype=np.float16))
    b = transfer(a, target.name)
    same(target, b, np.arange(3, dtype=np.float16))
    assert (b is a) == (source is target)


@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, np.bool_, np.complex64])
@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 2), (0, 1, 2)])
def test_sum(backend: Backend, dtype: type, axes: tuple[int, ...]) -> None:
    a = RNG.integers(0, 2, (3, 4, 5)).astype(dtype)
    for keepdims in (False, True):
        expected = np.asarray(a.sum(axes, keepdims=keepdims))
        same(backend, backend.sum(backend.asarray(a), axes, keepdims), expected)


def test_sum_of_nothing(backend: Backend) -> None:
    same(backend, backend.sum(backend.asarray(np.ones((0, 3), np.float32)), (0,)), np.zeros(3, np.float32))
    same(backend, backend.sum(backend.asarray(np.ones((0, 3))), (0, 1), True), np.zeros((1, 1)))


def test_float16_sums_do_not_lose_ones(backend: Backend) -> None:
    ones = backend.asarray(np.ones((70_000, 2), np.float16))
    same(backend, backend.sum(ones[:60_000], (0,)), np.full(2, 60_000, np.float16))
    same(backend, backend.sum(ones, (0,), dtype=np.float32), np.full(2, 70_000, np.float32))


@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, np.complex64])
def test_keep(backend: Backend, dtype: type) -> None:
    x = RNG.standard_normal((4, 6)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        x[0], x[1], x[2] = np.inf, np.nan, -0.0
    mask = RNG.random((4, 6)) > 0.5
    views = {
        "whole": (x, mask), "transposed": (x.T, mask.T), "sliced": (x[::2, ::-1], mask[::2]),
        "broadcast": (x, mask[0]), "0-d": (x[3, 0, ...], mask[0, 0, ...]), "empty": (x[:0], mask[:0]),
    }  # fmt: skip
    for name, (a, m) in views.items():
        y = backend.to_host(backend.keep(backend.asarray(a), backend.asarray(m)))
        expected = np.where(m, a, a.dtype.type(0))
        assert y.dtype == expected.dtype, name
        assert np.array_equal(y, expected, equal_nan=True), name
        if y.dtype.kind == "f":
            assert not np.signbit(y[~np.broadcast_to(m, y.shape)]).any(), name


INDICES = {
    "int": 1,
    "negative": -1,
    "slice": slice(1, None, 2),
    "reversed": slice(None, None, -1),
    "new axis": (None, slice(0, 2)),
    "rows": np.array([0, 2, 2, -1]),
    "rows as a list": [0, 2, 2],
    "table": np.array([[0, 1], [1, 1]]),
    "pairs": (np.array([0, 0, 1]), np.array([1, 1, -1])),
    "broadcast pairs": (np.array([[0], [0]]), np.array([1, 1])),
    "columns": (slice(None), np.array([0, 0, 3])),
    "columns by a table": (slice(None), np.array([[0, 3], [3, -1]])),
    "last": (Ellipsis, np.array([0, 0, 1])),
    "apart": (np.array([0, 0]), slice(None), np.array([1, 1])),
    "int and rows": (1, np.array([3, 3])),
    "mask": np.array([True, False, True]),
    "none of them": np.array([], np.int64),
    "all": Ellipsis,
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("width", [5, 300])  # rows that are added one by one are wide
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
def test_scatter_add_is_the_adjoint_of_getitem(backend: Backend, index: object, width: int, dtype: type) -> None:
    shape = (3, 4, width)
    parts = index if isinstance(index, tuple) else (index,)
    mine = [backend.asarray(p) if isinstance(p, np.ndarray) else p for p in parts]
    placed = tuple(mine) if isinstance(index, tuple) else mine[0]
    values = RNG.integers(-3, 4, np.zeros(shape)[index].shape).astype(dtype)
    expected = np.zeros(shape, dtype)
    np.add.at(expected, index, values)
    for deterministic in (False, True) if hasattr(backend, "deterministic") else (False,):
        backend.deterministic = deterministic
        y = backend.scatter_add(shape, dtype, placed, backend.asarray(values))
        backend.deterministic = False
        same(backend, y, expected)


BAD = {
    "int": 3,
    "negative": -4,
    "list": [0, 3],
    "rows": np.array([0, 1, 5]),
    "columns": (slice(None), np.array([0, -5])),
    "pairs": (np.array([0]), np.array([4])),
}


@pytest.mark.parametrize("shape", [(3, 4), (0, 0)], ids=str)
@pytest.mark.parametrize("index", BAD.values(), ids=BAD.keys())
def test_an_index_out_of_bounds_raises(backend: Backend, index: object, shape: tuple[int, int]) -> None:
    x = backend.asarray(np.zeros(shape, np.float32))
    parts = index if isinstance(index, tuple) else (index,)
    mine = [backend.asarray(p) if isinstance(p, np.ndarray) else p for p in parts]
    placed = tuple(mine) if isinstance(index, tuple) else mine[0]
    with pytest.raises(IndexError, match=r"out of bounds|is empty"):  # on a device, at the latest at the copy
        backend.to_host(x[backend.check_index(placed, shape, "getitem")])
    backend.to_host(x)  # told once
    values = backend.asarray(np.ones((), np.float32))
    with pytest.raises(IndexError, match=r"out of bounds|is empty"):
        backend.to_host(backend.scatter_add(shape, np.float32, placed, values))


def test_a_fault_on_the_device_names_the_operation() -> None:
    backend = get_backend("fakecupy")
    x = backend.asarray(np.zeros((4, 3)))
    x[:, backend.check_index((slice(None), backend.asarray([0, 7])), (4, 3), "embedding")[1]]
    with pytest.raises(
        BoundsError, match="embedding: index 7 is out of bounds for axis 1 with size 3; valid are -3 to 2"
    ):
        backend.synchronize()
    backend.synchronize()


WINDOWS = [
    ((7,), (0,), (3,), (1,), (1,)),
    ((2, 9), (1,), (3,), (2,), (1,)),
    ((2, 9, 8), (1, 2), (3, 2), (1, 1), (1, 1)),
    ((2, 3, 9, 8), (2, 3), (3, 3), (2, 1), (2, 3)),
    ((2, 3, 8, 8), (2, 3), (2, 2), (2, 2), (1, 1)),
    ((2, 3, 9, 8), (2, 3), (2, 2), (3, 4), (1, 1)),
    ((5, 6), (1, 0), (2, 5), (1, 1), (1, 1)),
    ((0, 6), (1,), (2,), (1,), (1,)),
    ((4,), (), (), (), ()),
]


@pytest.mark.parametrize("case", WINDOWS, ids=str)
@pytest.mark.parametrize("dtype", FLOATS)
def test_windows_and_fold(backend: Backend, case: tuple, dtype: type) -> None:
    shape, axes, sizes, strides, dilations = case
    x = RNG.integers(-9, 9, shape).astype(dtype)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True))
    expected = np.lib.stride_tricks.sliding_window_view(x, reach, axes) if axes else x
    for n, (axis, s, d) in enumerate(zip(axes, strides, dilations, strict=True)):
        at = [slice(None)] * expected.ndim
        at[axis], at[len(shape) + n] = slice(None, None, s), slice(None, None, d)
        expected = expected[tuple(at)]
    y = backend.windows(backend.asarray(x), axes, sizes, strides, dilations)
    same(backend, y, expected)
    transposed = backend.windows(backend.asarray(x.T).T, axes, sizes, strides, dilations)
    same(backend, transposed, expected)
    g = RNG.integers(-9, 9, expected.shape).astype(dtype)
    folded = backend.fold(backend.asarray(g), shape, axes, sizes, strides, dilations)
    assert folded.shape == shape
    assert folded.dtype == dtype
    # <g, windows(x)> = <fold(g), x>, exactly: small whole numbers
    assert np.sum(g * expected, dtype=np.float64) == np.sum(backend.to_host(folded) * x, dtype=np.float64)


@pytest.mark.parametrize(
    ("sizes", "strides", "dilations", "error", "words"),
    [
        ((9,), (1,), (1,), ShapeError, "axis 1 has 8 elements.*size 9 with dilation 1 reaches over 9"),
        ((3,), (1,), (4,), ShapeError, "reaches over 9; pad"),
        ((0,), (1,), (1,), ArgumentError, "size 0"),
        ((2,), (0,), (1,), ArgumentError, "stride 0"),
    ],
)
def test_windows_that_do_not_fit(
    backend: Backend, sizes: tuple, strides: tuple, dilations: tuple, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        backend.windows(backend.asarray(np.zeros((2, 8))), (1,), sizes, strides, dilations)


def test_fold_wants_windows(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"\(2, 2\), no windows of \(5,\)"):
        backend.fold(backend.asarray(np.zeros((2, 2))), (5,), (0,), (2,), (1,), (1,))


def test_windows_of_numpy_cannot_be_written() -> None:
    backend = get_backend("numpy")
    for x in (np.zeros((4, 4)), np.zeros((4, 4)).T):
        assert not backend.windows(x, (1,), (2,), (1,), (1,)).flags.writeable
