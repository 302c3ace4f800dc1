"""minigrad: every gradient, of every order, from one rule, and you can watch it happen.

The names listed in `__all__` are public, and so are those of the submodules among them; everything else may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# A type checker takes a name for public if it is imported `as` itself, or with all of a file that lists what it has.
from minigrad import answers as answers
from minigrad import errors as errors
from minigrad import notation as notation
from minigrad.backend import memory as memory
from minigrad.core import Tensor as Tensor
from minigrad.core import arguments as arguments
from minigrad.core import composite as composite
from minigrad.core import domains as domains
from minigrad.core import gradients as gradients
from minigrad.core import no_grad as no_grad
from minigrad.core import primitive as primitive
from minigrad.core import tensor as tensor
from minigrad.core.modes import use_device as use_device
from minigrad.ops import *
from minigrad.transforms import *

__version__ = "0.1.0"

if TYPE_CHECKING:  # what _LATER has, for type checkers and editors; tests/test_house.py compares
    from minigrad import backend as backend
    from minigrad import check as check
    from minigrad import data as data
    from minigrad import debug as debug
    from minigrad import graph as graph
    from minigrad import init as init
    from minigrad import linalg as linalg
    from minigrad import losses as losses
    from minigrad import optim as optim
    from minigrad import random as random
    from minigrad import safe as safe
    from minigrad import training as training
    from minigrad.graph import Graph as Graph
    from minigrad.graph import trace as trace
    from minigrad.module import Buffer as Buffer
    from minigrad.module import Module as Module
    from minigrad.module import Parameter as Parameter
    from minigrad.module import Sample as Sample
    from minigrad.module import closed_form as closed_form
    from minigrad.module import layer as layer
    from minigrad.module import layers as layers
    from minigrad.module import register_layer as register_layer
    from minigrad.module import stand_in as stand_in
    from minigrad.module import summary as summary
    from minigrad.saving import load as load
    from minigrad.saving import load_tensors as load_tensors
    from minigrad.saving import save as save
    from minigrad.training import fit as fit
    from minigrad.training import mc_dropout as mc_dropout
else:  # so that a type checker knows of no other name
    from minigrad import ops, transforms
    from minigrad.answers import unknown_name

    # Loaded when first asked for: a program that differentiates one function need not read all of this.
    _LATER = dict.fromkeys(
        "backend check data debug graph init linalg losses optim random safe training".split(), "minigrad"
    ) | {
        name: f"minigrad.{home}"
        for home, names in {
            "graph": "Graph trace",
            "module": "Buffer Module Parameter Sample closed_form layer layers register_layer stand_in summary",
            "saving": "load load_tensors save",
            "training": "fit mc_dropout",
        }.items()
        for name in names.split()
    }
    _FILES = "answers arguments domains errors memory notation".split()
    _NAMES = "Tensor composite gradients no_grad primitive tensor use_device".split()
    __all__ = sorted({*_FILES, *_NAMES, *_LATER, *ops.__all__, *transforms.__all__})

    def __getattr__(name):
        home = _LATER.get(name)
        if home is None:
            raise unknown_name(__name__, name, __all__)
        value = import_module(f"minigrad.{name}") if home == "minigrad" else getattr(import_module(home), name)
        globals()[name] = value
        return value

    def __dir__():
        return __all__
