"""Every exception that minigrad raises, each also a built-in exception, so that `except ValueError` goes on working.

    MinigradError
    ├── ShapeError (ValueError)                 shapes that do not fit each other or an operation
    │   └── AxisError (IndexError)              an axis that the array does not have
    ├── ArgumentError (ValueError)              an argument out of its range: eps <= 0, p > 1
    │   └── ArgumentTypeError (TypeError)       an argument of another type than it must have: 1.5 or True for an axis
    ├── DtypeError (TypeError)                  a dtype that an operation cannot take
    ├── DeclarationError (TypeError)             a primitive or layer whose declaration contradicts itself
    ├── UnknownArrayError (TypeError)           an object that belongs to no backend
    ├── BoundsError (IndexError)                an index outside its axis
    ├── FrozenError (ValueError)                a write into an array that a graph holds
    ├── DeviceError (RuntimeError)              arrays on different devices, or a device that is not there
    ├── BackendUnavailable (ImportError)        a backend whose library is missing or finds no device
    ├── GraphError (RuntimeError)               a graph that cannot be differentiated as asked
    │   └── GraphFreedError                     a second backward through a graph that the first one freed
    ├── NonFiniteError (FloatingPointError)     NaN or infinity where a guard was set
    ├── UnknownNameError (LookupError)          a name that nothing goes by
    │   ├── UnknownLayerError (KeyError)        ... in the registry of layers
    │   └── UnknownFunctionError (AttributeError)   ... in the package, such as a name that another library uses
    ├── PluginError (RuntimeError)              two plugins of one name, or one that breaks its contract
    ├── CheckpointError (ValueError)            a file that was altered, cut off, or belongs to another model
    └── RenderError (RuntimeError)              Graphviz is missing, failed or took too long

    PluginWarning (UserWarning)                 a plugin that could not be loaded; the rest goes on
    RandomWarning (UserWarning)                 random numbers that are not independent where they should be

`minigrad.check` adds `CheckError`, an AssertionError: it reports a wrong result, not a wrong call.

A message says which argument is wrong, which value it has, and what to do. This file never decides when to raise, and
imports nothing.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "AxisError",
    "BackendUnavailable",
    "BoundsError",
    "CheckpointError",
    "DeclarationError",
    "DeviceError",
    "DtypeError",
    "FrozenError",
    "GraphError",
    "GraphFreedError",
    "MinigradError",
    "NonFiniteError",
    "PluginError",
    "PluginWarning",
    "RandomWarning",
    "RenderError",
    "ShapeError",
    "UnknownArrayError",
    "UnknownFunctionError",
    "UnknownLayerError",
    "UnknownNameError",
]


class MinigradError(Exception):
    """The root of all of them: `except MinigradError` catches whatever minigrad itself objects to."""

    def __str__(self) -> str:
        # KeyError prints the repr of its message, quotes and escaped newlines included.
        return Exception.__str__(self)


class ShapeError(MinigradError, ValueError):
    """Shapes that do not fit each other or the operation."""


class AxisError(ShapeError, IndexError):
    """An axis that the array does not have, or that is named twice."""


class ArgumentError(MinigradError, ValueError):
    """An argument outside the range in which it means something."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of another type than it must have, or a name that the function does not take."""


class DtypeError(MinigradError, TypeError):
    """A dtype that the operation cannot take."""


class DeclarationError(MinigradError, TypeError):
    """A primitive or a layer whose declaration contradicts itself."""


class UnknownArrayError(MinigradError, TypeError):
    """An object that is the array of no backend."""


class BoundsError(MinigradError, IndexError):
    """An index outside its axis; on a device it is told of at the next copy to the host."""


class FrozenError(MinigradError, ValueError):
    """A write into an array that a graph holds."""


class DeviceError(MinigradError, RuntimeError):
    """Arrays on different devices in one operation, or a device that does not exist."""


class BackendUnavailable(MinigradError, ImportError):
    """A backend whose library is not installed, or which finds no device."""


class GraphError(MinigradError, RuntimeError):
    """A graph that cannot be differentiated as asked: a non-scalar root, an untracked tensor, no path."""


class GraphFreedError(GraphError):
    """A second backward pass through a graph that the first one freed."""


class NonFiniteError(MinigradError, FloatingPointError):
    """NaN or infinity in a place where a guard was set."""


class UnknownNameError(MinigradError, LookupError):
    """A name that nothing goes by; the message gives the nearest ones."""


class UnknownLayerError(UnknownNameError, KeyError):
    """A name that is not in the registry of layers."""


class UnknownFunctionError(UnknownNameError, AttributeError):
    """A name that the package does not have, often one that another library uses."""


class PluginError(MinigradError, RuntimeError):
    """Two plugins of one name, or a plugin that breaks its contract."""


class PluginWarning(UserWarning):
    """A plugin that could not be loaded; everything else goes on."""


class RandomWarning(UserWarning):
    """Random numbers that are not independent where one would take them to be."""


class CheckpointError(MinigradError, ValueError):
    """A file that was altered, is cut off, or belongs to another model."""


class RenderError(MinigradError, RuntimeError):
    """Graphviz is not there, failed, or took longer than its limit."""
