"""The file: safetensors, with one JSON document in its metadata and a seal over every byte of it.

The seal is the SHA-256 of the whole file (lengths, names, dtypes, shapes, values, the document itself) with the seal's
own 64 digits read as zeros. It tells of damage and of careless edits; it is no signature, for whoever can write the
file can seal it again. What a file says is data: it names no module, and nothing here imports or runs one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import safetensors
from safetensors.numpy import save as serialize

from minigrad.errors import CheckpointError, DtypeError
from minigrad.saving import atomic

__all__ = ["read", "read_any", "write"]

KEY = "minigrad"  # the one entry of the metadata
HEADER_LIMIT = 100_000_000  # the format's own
MANY = 10_000
"""Tensors that a file of another program may list however small they are; beyond, one for each 1,000 bytes of the file.
The library takes 600 to 1,000 bytes for an entry before it can refuse it, and 2,500 for one that it reads."""
ZEROS = "0" * 64
# As the seal stands in the file: JSON text inside a JSON string, first in the document. Quotes of any name or text
# are escaped once more, so nothing else there can look like it.
SEAL = re.compile(rb'"minigrad":\s*"\{\\"sha256\\":\\"([0-9a-f]{64})\\"')
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4",
    "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1", "BOOL": "u1", "C64": "<c8", "BF16": "<u2",
}  # fmt: skip
WRITABLE = frozenset("?bhilqBHILQefd")

Arrays = dict[str, "np.ndarray[Any, np.dtype[Any]]"]


def write(path: str | os.PathLike[str], arrays: Arrays, document: dict[str, Any]) -> None:
    """Write `arrays` and `document` (JSON's types only) under `path`, atomically, and seal them."""
    ready = {name: _plain(name, array) for name, array in arrays.items()}
    text = json.dumps({"sha256": ZEROS, **document}, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    blob = serialize(ready, {KEY: text})
    end = 8 + int.from_bytes(blob[:8], "little")
    found = SEAL.search(blob, 0, end)
    if found is None or found.group(1) != ZEROS.encode():
        raise CheckpointError(f"{path}: the safetensors library wrote the metadata in an unknown way; nothing is saved")
    seal = hashlib.sha256(blob).hexdigest().encode()
    atomic.write(path, [blob[: found.start(1)], seal, memoryview(blob)[found.end(1) :]])


def read(path: str | os.PathLike[str]) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and document of a sealed file. CheckpointError for anything but what `write` wrote, bit for bit."""
    data, end = _bytes(path)
    seal = _seal(path, data, end)
    if not seal:
        _refuse(
            path, "it carries no seal of minigrad's, so it was written by another program, or altered", "load_tensors"
        )
    arrays, metadata = _parse(path, data, end)
    document = _json(path, metadata.get(KEY, ""))
    if not isinstance(document, dict) or document.get("sha256") != seal:
        _refuse(path, "its seal does not stand where minigrad writes it")
    del document["sha256"]
    return arrays, document


def read_any(path: str | os.PathLike[str]) -> Arrays:
    """The arrays of any safetensors file; what carries a seal must fit it here too."""
    data, end = _bytes(path)
    seal = _seal(path, data, end)
    many = MANY + len(data) // 1000
    if not seal and (data.count(b"{", 8, end) > many or data.count(b",", 8, end) > 10 * many):
        _refuse(
            path, f"its header lists more than {many:,} tensors, or {10 * many:,} numbers and texts: too many for a "
            f"file of {len(data):,} bytes, which would take far more memory to read"
        )  # fmt: skip
    arrays, metadata = _parse(path, data, end)
    if KEY in metadata and not seal:
        _refuse(path, f"its metadata has an entry {KEY!r} without a seal, so it was altered after minigrad wrote it")
    return arrays


def _seal(path: str | os.PathLike[str], data: bytes, end: int) -> str:
    """The seal, which fits; "" where there is none."""
    seals = list(SEAL.finditer(data, 8, end))
    if len(seals) != 1:
        return ""
    digest = hashlib.sha256(memoryview(data)[: seals[0].start(1)])
    digest.update(ZEROS.encode())
    digest.update(memoryview(data)[seals[0].end(1) :])
    found = seals[0].group(1).decode()
    if digest.hexdigest() != found:
        _refuse(
            path, "its content does not match the seal that minigrad wrote into it, so it was altered or damaged "
            f"afterwards (a program that changes tensors must leave out the entry {KEY!r} of the metadata)"
        )  # fmt: skip
    return found


def _plain(name: str, array: Any) -> Any:
    """`array` in C order and this machine's byte order, 0-d kept: the library writes wrong values for anything else."""
    if array.dtype.kind not in "fiub" or array.dtype.char not in WRITABLE:
        raise DtypeError(
            f"save: {name!r} has dtype {array.dtype}, which the file cannot hold; it holds f2 f4 f8, integers, bool"
        )
    return np.array(array, array.dtype.newbyteorder("="), order="C", copy=None)


OTHERS = {
    b"PK\x03\x04": "a zip file, as torch.save and numpy.savez write",
    b"\x80": "a pickle, which could run any code",
    b"\x89HDF": "an HDF5 file, as Keras writes",
    b"\x93NUMPY": "NumPy's .npy; numpy.load reads it",
}


def _bytes(path: str | os.PathLike[str]) -> tuple[bytes, int]:
    """The whole file, and where its header ends; the lengths are checked before anything is done with them."""
    data = Path(path).read_bytes()
    for beginning, what in OTHERS.items():
        if data.startswith(beginning) and data[8:9] != b"{":  # else the length of a header, of 128 bytes say
            _refuse(path, f"this is {what}; minigrad reads safetensors, which hold no code: write one of those there")
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        _refuse(path, f"it is cut off: {len(data)} bytes cannot hold a header of {length} bytes")
    if length > HEADER_LIMIT:
        _refuse(path, f"its header has {length} bytes; the format allows {HEADER_LIMIT}")
    return data, 8 + length


def _parse(path: str | os.PathLike[str], data: bytes, end: int) -> tuple[Arrays, dict[str, str]]:
    try:
        flat = safetensors.deserialize(data)  # type: ignore[no-untyped-call]  # its stub has no types
    except safetensors.SafetensorError as problem:
        raise CheckpointError(f"{path}: this is no safetensors file, or a damaged one: {problem}") from problem
    header = _json(path, data[8:end].decode())  # after the library, which has bounded its depth and its kinds of values
    arrays = {}
    for name, entry in sorted(flat):
        if entry["dtype"] not in DTYPES:
            _refuse(
                path, f"tensor {name!r} has dtype {entry['dtype']}, which NumPy lacks; convert it where it was written"
            )
        held = entry["data"] if isinstance(entry["data"], bytearray) else bytearray(entry["data"])  # bytes before 0.5
        try:
            array = np.frombuffer(held, DTYPES[entry["dtype"]]).reshape(entry["shape"])
        except ValueError as problem:  # 65 axes, or one that is too long beside one of 0
            raise CheckpointError(f"{path}: tensor {name!r} has a shape that NumPy lacks: {problem}") from problem
        if entry["dtype"] == "BF16":  # the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        elif entry["dtype"] == "BOOL":  # a byte that is neither 0 nor 1 would count as what it is
            array = array.astype(bool)
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return arrays, header.get("__metadata__") or {}


def _json(path: str | os.PathLike[str], text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name, value in pairs:
            if name in table:
                _refuse(path, f"it names {name!r} twice")
            table[name] = value
        return table

    try:
        return json.loads(
            text, object_pairs_hook=unique, parse_constant=lambda word: _refuse(path, f"its JSON holds {word}")
        )
    except (ValueError, RecursionError) as problem:
        if isinstance(problem, CheckpointError):
            raise
        raise CheckpointError(f"{path}: its JSON cannot be read: {problem}") from problem


def _refuse(path: str | os.PathLike[str], why: str, instead: str = "") -> NoReturn:
    hint = f"; to read the tensors of any safetensors file use minigrad.{instead}" if instead else ""
    raise CheckpointError(f"{path}: {why}{hint}")
