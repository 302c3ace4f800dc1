"""What the tests of checkpoints share, and the fuzzer: something to save, and files that must be refused."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

import numpy as np

import minigrad as mg
from minigrad_layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential


def unmeasured() -> dict[str, str]:
    """The environment without what measures coverage in a process, which takes memory and time and writes a file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def network() -> Sequential:
    mg.random.seed(3)
    return Sequential(Linear(4, 5), BatchNorm1d(5), ReLU(), Dropout(0.3), Linear(5, 2))


def trained(steps: int = 3) -> tuple[Sequential, Any]:
    model = network()
    optimizer = mg.optim.Adam(model.parameters(), lr=1e-2)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        optimizer.zero_grad()
        mg.mean(model(mg.tensor(rng.standard_normal((6, 4)), dtype="float32")) ** 2).backward()
        optimizer.step()
    return model, optimizer


def everything(model: Any, optimizer: Any) -> Any:
    """All that a step depends on, to be compared."""
    state = {name: array.tobytes() for name, array in model.state_dict().items()}
    moments = repr(optimizer.state_dict())
    return state, moments, [generator.state for _, generator in model.named_generators()]


# ---- files that were altered


def framed(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """A file of this header and body, whatever they are; `length` is what it says of the header."""
    return (len(header) if length is None else length).to_bytes(8, "little") + header + body


def resealed(data: bytes) -> bytes:
    """`data` with the seal that it should have, where it has one: whoever can write a file can do that."""
    found = re.search(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"', data)
    if found is None:
        return data
    seal = hashlib.sha256(data[: found.start(1)] + b"0" * 64 + data[found.end(1) :]).hexdigest()
    return data[: found.start(1)] + seal.encode() + data[found.end(1) :]


TOKEN = re.compile(rb'[{}\[\],:]|\\?"|[0-9]+|[a-zA-Z_]+')
OTHERS = [*b"{}[],:", b'"', b'\\"', b"0", b"-1", b"1e9", b"4294967296", b"null", b"NaN", b"F32", b"I64", b"weight", b""]


def reworded(whole: bytes, rng: np.random.Generator) -> bytes:
    """One word of the header's JSON for another, the header's length put right."""
    header = whole[8 : 8 + int.from_bytes(whole[:8], "little")]
    words = list(TOKEN.finditer(header))
    word, other = words[int(rng.integers(len(words)))], OTHERS[int(rng.integers(len(OTHERS)))]
    other = bytes([other]) if isinstance(other, int) else other
    new = header[: word.start()] + other + header[word.end() :]
    return len(new).to_bytes(8, "little") + new + whole[8 + len(header) :]


# ---- files that were made to harm

TENSOR = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


def bytewise(count: int, hole: int | None = None) -> bytes:
    """A file of `count` tensors of one byte, and a byte after tensor number `hole` that belongs to none."""
    starts = [k + (hole is not None and k > hole) for k in range(count)]
    entries = (b'"%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}' % (k, i, i + 1) for k, i in enumerate(starts))
    return framed(b"{" + b",".join(entries) + b"}", bytes(count + (hole is not None)))


HOSTILE = {
    "nothing": b"",
    "length 2**63": framed(b"{}", length=2**63),
    "length beyond the end": framed(b"{}", length=3),
    "no JSON": framed(b"{]"),
    "depth 100,000": framed(b'{"a":' + b"[" * 100_000),
    "a name twice": framed(b'{"a":' + TENSOR + b',"a":' + TENSOR + b"}", bytes(4)),
    "a hole": framed(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', bytes(8)),
    "an overlap": framed(b'{"a":' + TENSOR + b',"b":' + TENSOR + b"}", bytes(4)),
    "a shape that overflows": framed(
        b'{"a":{"dtype":"F32","shape":[9223372036854775808,2],"data_offsets":[0,8]}}', bytes(8)
    ),
    "NaN": framed(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}', bytes(4)),
    "bad UTF-8": framed(b'{"\xff":' + TENSOR + b"}", bytes(4)),
    "100,000 entries": framed(b"{" + b",".join(b'"%d":0' % k for k in range(100_000)) + b"}"),
    "100,000 tensors and a hole": bytewise(100_000, hole=5),
    "100,000 tensors": bytewise(100_000),
    "9,000 tensors and a hole": bytewise(9_000, hole=5),
    "a text of 4 MB": framed(b'{"__metadata__":{"minigrad":"' + b"a" * 4_000_000 + b'"}'),
    "a dtype of nobody": framed(b'{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', bytes(4)),
    "65 axes": framed(b'{"a":{"dtype":"F32","shape":[' + b"1," * 64 + b'1],"data_offsets":[0,4]}}', bytes(4)),
    "5,000,000 axes": framed(
        b'{"a":{"dtype":"F32","shape":[' + b"1," * 5_000_000 + b'1],"data_offsets":[0,4]}}', bytes(4)
    ),
    "nothing, 2**62 times": framed(b'{"a":{"dtype":"F32","shape":[0,%d],"data_offsets":[0,0]}}' % 2**62),
    "nothing, 2**63 times": framed(b'{"a":{"dtype":"F32","shape":[0,%d],"data_offsets":[0,0]}}' % 2**63),
    "a number of 100,000 digits": framed(
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,4]}}'
    ),
    "a lone surrogate": framed(b'{"\\ud800":' + TENSOR + b"}", bytes(4)),
    "metadata of its own kind": framed(b'{"__metadata__":{"minigrad":"mine"},"a":' + TENSOR + b"}", bytes(4)),
    "800,000 entries of metadata": framed(
        b'{"__metadata__":{' + b",".join(b'"%d":""' % k for k in range(800_000)) + b"}}"
    ),
}
