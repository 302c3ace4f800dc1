"""The columns: at which input, in which dtype and to which orders a norm is tried, and from when on a cell is wrong."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """`change` is a statement that changes x, drawn from the normal distribution, or the parameters."""

    title: str
    orders: tuple[int, ...]
    dtype: str
    change: str
    bound: float  # of the error, from which on a cell is wrong
    said: str


COLUMNS = {
    **{
        f"order {k}": Column(
            f"order {k}", (k,), "float64", "", 1e-6,
            ("the gradient by x", "the gradient of a gradient", "the gradient of that")[k - 1],
        )
        for k in (1, 2, 3)
    },
    "offset 1e4": Column("offset 1e4", (0, 1), "float32", "x += 1e4", 0.02, "x has mean 10,000 and deviation 1"),
    "offset 1e6": Column(
        "offset 1e6", (0, 1), "float32", "x += 1e6", 0.2,
        "x has mean 1,000,000 and deviation 1, of which float32 keeps steps of 1/16",
    ),
    "constant": Column(
        "constant channel", (0, 1), "float32", "x{group} = 10.1", 0.01,
        "everything that one mean or length is taken over is 10.1",
    ),
    "zero": Column(
        "zero row", (1, 2, 3), "float64", "x{group} = 0", 1e-6,
        "everything that one mean or length is taken over is 0",
    ),
    "gamma 0": Column("gamma = 0", (1,), "float64", "weight[0] = 0", 1e-6, "the first element of the weight is 0"),
    "float16": Column(
        "float16", (0, 1), "float16", "x *= 300", 0.02, "x has deviation 300, whose squares float16 has not",
    ),
}  # fmt: skip
