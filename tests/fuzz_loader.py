"""Coverage-guided fuzzing of `load` and `load_tensors`: the answer is tensors or a CheckpointError, and nothing else.

    python -m pip install atheris==3.0.0        Linux; elsewhere it wants clang
    python tests/fuzz_loader.py [RUNS] [SEED]

scripts/nightly runs it where atheris is installed; tests/test_saving_hostile.py does without. A file that is taken must
be sealed, and one that is refused must leave model and optimiser as they were. What is found is left in crash-*.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["minigrad.saving", "json"]):
    import minigrad as mg

    mg.load_tensors.__doc__  # which imports what reads files

from checkpoints import HOSTILE, everything, framed, resealed, reworded
from safetensors.numpy import save

from minigrad_layers import Dropout, Linear, Sequential

SMALL = 20_000  # bytes of a seed: what is larger was tried by itself
MODEL = Sequential(Linear(1, 2), Dropout(0.5))  # small, so that thousands are tried in a second
OPTIMIZER = mg.optim.SGD(MODEL.parameters(), lr=0.1, momentum=0.9)
mg.sum(MODEL(mg.ones((3, 1)))).backward()
OPTIMIZER.step()
BEFORE = everything(MODEL, OPTIMIZER)
SEAL = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"')


def sealed(data: bytes) -> bool:
    """Whether the file has the seal that it should have, worked out here once more."""
    return any(
        hashlib.sha256(data[: m.start(1)] + b"0" * 64 + data[m.end(1) :]).hexdigest().encode() == m[1]
        for m in SEAL.finditer(data)
    )


def main() -> None:
    given = sys.argv[1:]
    runs, seed = given + ["200000", "1"][len(given) :]
    with tempfile.TemporaryDirectory() as folder:
        seeds, place = Path(folder, "seeds"), Path(folder, "file")
        seeds.mkdir()
        for name, data in corpus(Path(folder)).items():
            (seeds / name).write_bytes(data)
        file = os.open(place, os.O_WRONLY | os.O_CREAT)

        def one(data: bytes) -> None:
            os.pwrite(file, data, 0)
            os.ftruncate(file, len(data))
            try:
                tensors = mg.load_tensors(place)
            except mg.errors.CheckpointError:
                pass
            else:
                assert all(type(array) is np.ndarray and array.flags.writeable for array in tensors.values())
            try:
                mg.load(place, model=MODEL, optimizer=OPTIMIZER)
            except mg.errors.CheckpointError:
                assert not sealed(data) or everything(MODEL, OPTIMIZER) == BEFORE
            else:
                assert sealed(data), "altered, and accepted"
                mg.load(Path(folder, "whole"), model=MODEL, optimizer=OPTIMIZER)

        options = [f"-runs={runs}", f"-seed={seed}", "-max_len=8192", "-len_control=0", "-timeout=10", "-verbosity=1"]
        atheris.Setup([sys.argv[0], *options, str(seeds)], one, custom_mutator=mutated)
        atheris.Fuzz()


def corpus(folder: Path) -> dict[str, bytes]:
    """Real checkpoints, another program's files, and small hostile ones."""
    mg.save(folder / "whole", model=MODEL, optimizer=OPTIMIZER, epoch=1)
    mg.save(folder / "extra", a=1, nested=[(1, 2), {"a": float("inf"), 3: None}])
    found = {name: (folder / name).read_bytes() for name in ("whole", "extra")}
    found["theirs"] = save({"w": np.eye(2), "b": np.zeros(0, "f2")}, {"format": "pt"})
    return found | {f"hostile {k}": data for k, data in enumerate(HOSTILE.values()) if len(data) <= SMALL}


def mutated(data: bytes, size: int, seed: int) -> bytes:
    """One of: bytes as libFuzzer likes; the header alone, its length right; a word of its JSON; the seal put right."""
    rng = np.random.default_rng(seed)
    kind = int(rng.integers(6))
    whole = len(data) >= 8 and int.from_bytes(data[:8], "little") <= len(data) - 8
    with suppress(ValueError):  # no word in the header
        if whole and kind >= 2:
            end = 8 + int.from_bytes(data[:8], "little")
            if kind < 4:
                data = reworded(data, rng)
            else:
                data = framed(atheris.Mutate(data[8:end], size), data[end:])
            return (resealed(data) if kind % 2 else data)[:size]
    return bytes(atheris.Mutate(data, size))


if __name__ == "__main__":
    main()
