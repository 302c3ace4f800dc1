"""Random words are the same everywhere, bit for bit (figure R3), and the CUDA text compiles without a GPU."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from minigrad.backend import available, get_backend, kernels, philox
from minigrad.errors import ArgumentError

NAMES = [name for name, reason in available().items() if not reason]

# The first block of the generator for a counter and key of all zeros, all ones, and the digits of pi: the vectors that
# come with Random123 (kat_vectors, philox4x64 10). They are about a counter; NumPy steps it once before, hence the - 1.
PI = (
    "243f6a8885a308d3 13198a2e03707344 a4093822299f31d0 082efa98ec4e6c89",
    "452821e638d01377 be5466cf34e90c6c",
    "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
)
KNOWN = {
    "zeros": ("0 0 0 0", "0 0", "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
    "ones": (
        " ".join(["ffffffffffffffff"] * 4),
        " ".join(["ffffffffffffffff"] * 2),
        "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
    ),
    "pi": PI,
}


def parts(number: int, count: int) -> tuple[int, ...]:
    return tuple(number >> 64 * i & philox.MASK64 for i in range(count))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", KNOWN.values(), ids=KNOWN.keys())
def test_known_answers(name: str, case: tuple[str, str, str]) -> None:
    counter, key, expected = ([int(w, 16) for w in words.split()] for words in case)
    before = (philox.joined(counter, 4, "counter") - 1) % (1 << 256)
    assert philox.words(np, philox.joined(key, 2, "key"), before, 4).tolist() == expected
    backend = get_backend(name)
    assert backend.to_host(backend.random_bits(key, parts(before, 4), (4,), 64)).tolist() == expected


def places() -> list[tuple[int, int, int]]:
    """300 keys, counters and lengths; every tenth counter is about to carry, and every tenth to wrap."""
    rng = np.random.default_rng(0)
    out = []
    for t in range(300):
        key, counter = int.from_bytes(rng.bytes(16), "little"), int.from_bytes(rng.bytes(32), "little")
        if t % 10 == 1:
            counter = (counter >> 64 << 64) | (1 << 64) - int(rng.integers(1, 9))
        if t % 10 == 2:
            counter = (1 << 256) - int(rng.integers(1, 9))
        out.append((key, counter, int(rng.integers(1, 70))))
    return out


@pytest.mark.parametrize("name", NAMES)
def test_the_stream_is_numpys(name: str) -> None:
    backend = get_backend(name)
    for key, counter, n in places():
        expected = np.random.Philox(key=key, counter=counter).random_raw(n)
        assert np.array_equal(philox.words(np, key, counter, n), expected)
        y = backend.random_bits(parts(key, 2), parts(counter, 4), (n,), 64)
        assert np.array_equal(backend.to_host(y), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [16, 32, 64])
def test_words_are_read_little_endian(name: str, bits: int) -> None:
    backend = get_backend(name)
    raw = np.random.Philox(key=5 | 3 << 64, counter=7 << 64).random_raw(64).astype("<u8")
    for shape in ((), (1,), (3, 5), (0, 4), (2, 3, 4)):
        n = int(np.prod(shape, dtype=int))
        y = backend.random_bits((5, 3), (0, 7, 0, 0), shape, bits)
        assert type(y) is backend.array_type
        assert y.shape == shape
        assert y.dtype == np.dtype(f"u{bits // 8}")
        assert np.array_equal(backend.to_host(y).reshape(-1), raw.view(f"<u{bits // 8}")[:n])


@pytest.mark.parametrize("name", NAMES)
def test_key_and_counter_may_be_arrays(name: str) -> None:
    backend = get_backend(name)
    key, counter = np.array([5, 1 << 63], np.uint64), np.array([1, 2, 3, 4], np.uint64)
    y = backend.random_bits(backend.asarray(key), backend.asarray(counter), (9,), 32)
    z = backend.random_bits((5, 1 << 63), (1, 2, 3, 4), (9,), 32)
    assert np.array_equal(backend.to_host(y), backend.to_host(z))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("key", "counter", "bits", "words"),
    [
        ((1, -1), (0, 0, 0, 0), 32, "key=.*-1"),
        ((1, 1 << 64), (0, 0, 0, 0), 32, "key="),
        ((1, 2), (0, 0, 0), 32, "counter=.*4 integers"),
        ((1, 2), (0, 0, 0, 0), 8, "bits=8 must be 16, 32 or 64"),
    ],
)
def test_wrong_places_are_named(name: str, key: tuple, counter: tuple, bits: int, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        get_backend(name).random_bits(key, counter, (4,), bits)


@pytest.mark.parametrize("name", NAMES)
def test_a_million_draws_are_the_same(name: str) -> None:
    backend = get_backend(name)
    y = backend.random_bits((11, 3), (0, 9, 0, 0), (1_000_000,), 16)
    assert np.array_equal(backend.to_host(y), get_backend("numpy").random_bits((11, 3), (0, 9, 0, 0), (1_000_000,), 16))


def test_threads_do_not_meet() -> None:
    backend, wrong = get_backend("numpy"), []
    expected = [backend.random_bits((1, s), (0, 0, 0, 0), (1000,), 64).copy() for s in range(4)]

    def draw(stream: int) -> None:
        for _ in range(200):
            if not np.array_equal(backend.random_bits((1, stream), (0, 0, 0, 0), (1000,), 64), expected[stream]):
                wrong.append(stream)

    threads = [threading.Thread(target=draw, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(sys.platform != "linux", reason="the NVRTC wheel is for Linux")
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_the_kernels_compile(arch: str) -> None:
    core = pytest.importorskip("cuda.core", reason="pip install 'cuda-core[cu13]'")
    program = core.Program(kernels.CUDA, "c++", core.ProgramOptions(arch=arch, std="c++14"))
    code = program.compile("cubin").code
    assert code[:4] == b"\x7fELF"
    for name in kernels.NAMES:
        assert name.encode() in code
