"""The primitives and compositions that users call. Each file lists its own in `__all__`, and here they are collected.

Imports among the files go one way: compare, elementwise, rounding, functions, special, reduce, shape, joining, index,
arrange, scan, sorting, padding, linalg, decompose, roots, products, windows, conv, pool, creation, composite. What
`decompose` and `roots` have is reached through `minigrad.linalg`.
"""

from typing import TYPE_CHECKING

from minigrad.answers import answer_attributes as _answer
from minigrad.answers import refusing as _refusing
from minigrad.core import Tensor as _Tensor
from minigrad.core.composite import COMPOSITES as _COMPOSITES
from minigrad.core.essential import *
from minigrad.elsewhere import TENSOR
from minigrad.ops.arrange import *
from minigrad.ops.compare import *
from minigrad.ops.composite import *
from minigrad.ops.conv import *
from minigrad.ops.creation import *
from minigrad.ops.elementwise import *
from minigrad.ops.functions import *
from minigrad.ops.index import *
from minigrad.ops.joining import *
from minigrad.ops.linalg import *
from minigrad.ops.padding import *
from minigrad.ops.pool import *
from minigrad.ops.products import *
from minigrad.ops.reduce import *
from minigrad.ops.rounding import *
from minigrad.ops.scan import *
from minigrad.ops.shape import *
from minigrad.ops.sorting import *
from minigrad.ops.special import *

if not TYPE_CHECKING:  # type checkers read the lines above, and no list that is put together
    __all__ = [name for name, value in globals().items() if callable(value) and not name.startswith("_")]

    for name in __all__:  # rules and compositions go on calling the functions themselves
        plain = globals()[name]
        if _COMPOSITES.get(name) is not plain and not hasattr(plain, "primitive"):
            globals()[name] = _refusing(plain)
        if vars(_Tensor).get(name) is plain:
            setattr(_Tensor, name, globals()[name])
    _answer(_Tensor, "a Tensor", TENSOR | {name: f"it is a function, minigrad.{name}" for name in __all__})
