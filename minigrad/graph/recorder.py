"""`trace`: record what runs inside a `with` block, forward and backward, as a Graph.

The recorder only looks: it keeps references to arrays that nobody may write (and copies those that somebody may), so
results are bit-identical with and without it, and a program that is not traced pays nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Any, get_args

import numpy as np

from minigrad.backend import BACKENDS
from minigrad.core import BOXES, Tensor, change
from minigrad.core.modes import MODES, Form, Watcher
from minigrad.core.primitive import Primitive
from minigrad.core.sources import Lines
from minigrad.errors import ArgumentError
from minigrad.graph.brief import brief
from minigrad.graph.graph import Graph
from minigrad.graph.nodes import Cotangent, Kind, Node, Scope, common

STATE: dict[str, Kind] = {"Parameter": "parameter", "Buffer": "buffer"}
RANDOM = frozenset({"random_bits"})


class trace:  # noqa: N801  (reads as a verb: `with trace(model) as graph:`)
    """Record every operation, layer, random draw, state update and backward pass inside a `with` block.

    Args:
        model: a module whose parameters and layers give their dotted names to the nodes.
        values: keep the arrays, forward and backward; without them the graph holds shapes and dtypes only.
        sources: note the line of the caller's code at which each operation ran.
        form: "run" records what an untraced run computes, bit for bit; "textbook" lets layers and composites run the
            literature's formula where they give one: the same to rounding, and in the steps that one reads about.

    Returns:
        A context manager that gives a `Graph`, which fills while the block runs.

    Raises:
        ArgumentError: another form.

    Example:
        >>> import minigrad as mg
        >>> x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> with mg.trace() as graph:
        ...     (x * x).sum().backward()
        >>> graph.node("x").grad
        array([2., 4.])
    """

    def __init__(self, model: Any = None, *, values: bool = True, sources: bool = True, form: Form = "run") -> None:
        if form not in get_args(Form):
            raise ArgumentError(
                f'form: {form!r} must be "run", what an untraced run computes, or "textbook", the formulas of the '
                "literature"
            )
        self._form = form
        self._arguments = (model, values, sources)
        self._entered: list[tuple[change, Recorder]] = []

    def __enter__(self) -> Graph:
        graph = Graph()
        graph.form = self._form
        recorder = Recorder(graph, *self._arguments)
        mode = change(watchers=(*MODES.get().watchers, recorder), form=self._form)
        mode.__enter__()
        self._entered.append((mode, recorder))
        return graph

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        mode, recorder = self._entered.pop()
        mode.__exit__(kind, error, where)
        recorder.forget()


class _Sweep:
    """A backward pass that is being recorded."""

    __slots__ = ("number", "scope")

    def __init__(self) -> None:
        self.number, self.scope = 0, ""  # from its first gradient on; a scope only if its rules are recorded


class Recorder(Watcher):
    """The watcher behind a trace; see `core.modes.Watcher` for when each method is called."""

    def __init__(self, graph: Graph, model: Any, values: bool, sources: bool) -> None:
        self.graph, self.values, self.sources = graph, values, sources
        self._scope = ""
        self._counts: dict[str, int] = {}  # how often a scope of this path was opened
        self._numbers: dict[tuple[str, str], int] = {}  # how many nodes of this kind there are in a scope
        self._lines = Lines()
        self._known = graph._known
        self._paths: dict[int, str] = {}  # id of a module of the model -> dotted path
        self._names: dict[int, str] = {}  # id of a parameter or buffer -> dotted name
        self._alive: list[Any] = [model]  # so that those ids stay theirs
        self._sweeps = 0
        self._around: list[_Sweep | None] = []  # the sweeps in whose rules and hooks another one runs
        self._sweep: _Sweep | None = None  # the one that runs
        self._given: frozenset[int] | None = None  # ids of what the outermost scope was called with; None: not known
        if model is not None:
            self._learn(model, "")

    def forget(self) -> None:
        """Let go of everything but the graph."""
        self._paths.clear()
        self._names.clear()
        self._alive.clear()

    # ---- what the engine tells

    def forward(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any], out: Any) -> None:
        outer, home = self._scope, self._sweep.scope if self._sweep is not None else ""
        if home and not outer.startswith(home):
            self._scope = home
        internal, scope, recording, random = bool(home), self._scope, MODES.get().recording, op.name in RANDOM
        inputs: list[str | None] = []
        cut: list[bool] = []
        for a in args:
            if type(a) in BOXES and not random:
                name, itself = self._find(a, internal)
                inputs.append(name)
                cut.append(not (itself and recording))
            else:  # a random draw's key and counter are its own, though another draw may have the same
                label = op.inputs[len(inputs)] if random else None
                inputs.append(None if a is None else self._constant(_raw(a), label))
                cut.append(True)
        several = op.outputs > 1
        outs = out if several else (out,)
        engine = outs[0]._node
        if several and engine is not None:
            engine = engine.parents[0]  # the outputs' nodes are picks from it
        node = Node(  # by position, in the order of the class, which takes half the time
            self._number(scope, op.name),
            "random" if random else "op",
            op.name,
            scope,
            tuple(inputs),
            (False,) * len(args) if engine is None else tuple([p is not None for p in engine.parents]),
            tuple(cut),
            dict(params),
            tuple(t.shape for t in outs) if several else out._data.shape,
            tuple(t.dtype for t in outs) if several else out._data.dtype,
            None,
            0 if engine is None else _bytes(engine.saved),
            engine is not None,
            None,
            self._lines() if self.sources else None,
        )
        if several:
            self._add(node, None)
            if engine is not None:
                self._known.by_node[engine.id] = node.name
            for k, t in enumerate(outs):
                self._add(_pick(node, k, t, self._number(scope, "pick")), t)
        else:
            self._add(node, out)
        self._scope = outer

    def begin(self, root: Any, lifted: bool, part: bool) -> None:
        self._around.append(self._sweep)
        if not part or self._sweep is None:
            self._sweep = _Sweep()

    def end(self) -> None:
        self._sweep = self._around.pop()

    def backward(self, node: Any, cotangent: Any, lifted: bool) -> None:
        sweep = self._sweep
        assert sweep is not None
        began = not sweep.number
        if began:  # counted now, since a sweep that finds no gradient is none
            self._sweeps = sweep.number = self._sweeps + 1
            if lifted:
                sweep.scope = self._open("backward", f"backward {sweep.number}", "gradients, recorded", "")
        name = self._known.by_node.get(node.id)
        if name is None:  # computed before the trace began
            return
        raw = tuple(map(_raw, cotangent)) if isinstance(cotangent, (tuple, list)) else _raw(cotangent)
        self.graph._nodes[name].cotangents.append(
            Cotangent(sweep.number, node.shape, node.dtype, raw if self.values else None, began)
        )

    def update(self, target: Any, value: Any) -> None:
        home, self._scope = self._scope, ""  # an optimiser's step is no use of a parameter outside its layer
        old = self._known.box(target) or self._find(target)[0]
        self._scope = home
        made = self._known.array(value)
        node = Node(
            self._number("", f"{old}.update"),
            "update",
            scope=home or self.graph._nodes[old].scope,
            inputs=(old, *([made] if made is not None else [])),
            flows=(False, False)[: 1 + (made is not None)],
            shape=tuple(value.shape),
            dtype=value.dtype,
            label=self.graph._nodes[old].label,
            source=self._lines() if self.sources else None,
        )
        places = self._known.by_node
        cotangents = places.get(target._node.id) if target._node is not None else None
        self._add(node, target)
        if cotangents is not None:  # gradients of computations before the update belong to the old value
            places[target._node.id] = cotangents

    def label(self, tensor: Any, name: str) -> None:
        self.graph._nodes[self._find(tensor)[0]].label = name

    def enter(self, kind: str, name: str, subject: Any, given: Any) -> None:
        title, detail = name, ""
        if kind == "layer":
            title = self._paths.get(id(subject)) or name
            detail = brief(subject)
        if not self._scope:
            self._given = None if given is None else frozenset(_ids(given))
        outer, self._scope = self._scope, self._open(kind, title.rpartition(".")[2] or name, detail, self._scope)
        if kind == "layer" and not outer and id(subject) not in self._paths:  # no model was given, or another one runs
            self._learn(subject, f"{self._scope}.")

    def leave(self) -> None:
        self._scope = self.graph._scopes[self._scope].parent

    # ---- how it finds its way

    def _open(self, kind: str, title: str, detail: str, parent: str) -> str:
        stem = f"{parent}/{_plain(title)}" if parent else _plain(title)
        n = self._counts[stem] = self._counts.get(stem, 0) + 1
        path = stem if n == 1 else f"{stem}_{n}"
        while path in self.graph._scopes:  # a scope that is itself called "name_2"
            path += "_"
        self.graph._scopes[path] = Scope(path, kind, title, detail, parent)
        return path

    def _number(self, scope: str, what: str) -> str:
        key = scope, what
        n = self._numbers[key] = self._numbers.get(key, 0) + 1
        return f"{scope}/{what}_{n}" if scope else f"{what}_{n}"

    def _add(self, node: Node, tensor: Any) -> str:
        self.graph._nodes[node.name] = node
        if tensor is not None:
            if self.values:
                node.value = tensor._data
            self._known.add(tensor, node.name, self.values)
        return node.name

    def _find(self, tensor: Tensor, internal: bool = False) -> tuple[str, bool]:
        """The node of a tensor that an operation met, and whether it is that very value and not only shows its array;
        a new leaf for one that was not seen before.

        `internal`: it is the recorded backward pass's own affair, and no input of the program.
        """
        name = self._known.itself(tensor)
        itself = name is not None
        if name is None:
            name = self._known.array(tensor._data)
        if name is None:
            made_inside = bool(self._scope) and self._given is not None and id(tensor) not in self._given
            return self._leaf(tensor, internal or (made_inside and not tensor.requires_grad)), True
        node = self.graph._nodes[name]
        if node.kind == "op":
            return name, itself
        if node.kind == "update" and tensor._node is not None:
            self._known.by_node[tensor._node.id] = name  # from now on its gradients are those of the new value
            itself = True
        if node.kind in ("parameter", "buffer", "constant"):
            node.scope = common(node.scope, self._scope, self.graph._scopes)
        return name, itself

    def _leaf(self, tensor: Tensor, internal: bool) -> str:
        kind: Kind = STATE.get(type(tensor).__name__, "constant" if internal else "input")
        dotted = self._names.get(id(tensor))
        node = Node(
            self._unique(dotted) if dotted else self._number(self._scope if kind == "constant" else "", kind),
            kind,
            scope="" if kind == "input" else self._scope,
            shape=tensor.shape,
            dtype=tensor.dtype,
            tracked=tensor.requires_grad,
            label=tensor.name or dotted,
        )
        return self._add(node, tensor)

    def _constant(self, value: Any, label: str | None = None) -> str:
        """A number or a bare array; with a label, as a value of its own, whatever else it is known as."""
        array = hasattr(value, "shape")
        host = type(value) is np.ndarray
        if array and type(value) in BACKENDS and label is None:
            name = self._known.array(value)
            kept: Any = self.graph._nodes[name].value if name is not None else None
            if name is not None and (
                not host or not value.flags.writeable or np.array_equal(kept, value, equal_nan=value.dtype.kind == "f")
            ):
                return name
        node = Node(
            self._number(self._scope, "constant"),
            "constant",
            scope=self._scope,
            shape=tuple(value.shape) if array else (),
            dtype=value.dtype if array else None,
            label=label,
        )
        if array and type(value) in BACKENDS and not isinstance(value, np.generic):
            if label is None:
                self._known.remember(value, node.name, self.values)
            node.value = BACKENDS[type(value)].copy(value) if self.values else None
        else:
            node.value = value
        self.graph._nodes[node.name] = node
        return node.name

    def _unique(self, name: str) -> str:
        name, n, stem = _plain(name), 1, _plain(name)
        while name in self.graph._nodes:
            n += 1
            name = f"{stem}_{n}"
        return name

    def _learn(self, model: Any, prefix: str) -> None:
        """The dotted names of a model's layers, parameters and buffers."""
        self._alive.append(model)
        for table, method in (
            (self._paths, "named_modules"),
            (self._names, "named_parameters"),
            (self._names, "named_buffers"),
        ):
            named = getattr(model, method, None)
            if named is not None:
                for name, part in named():
                    table.setdefault(id(part), prefix + name)
                    self._alive.append(part)


def _raw(value: Any) -> Any:
    return value._data if type(value) in BOXES else value


def _ids(value: Any) -> Iterator[int]:
    """The ids of what a structure of arguments holds."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
        else:
            yield id(item)


def _plain(name: str) -> str:
    """`name` as a part of a node's name: letters, digits and a few signs, at most 60 of them."""
    return re.sub(r"[^\w.\-]+", "_", name)[:60] or "_"


def _bytes(saved: tuple[Any, ...] | None) -> int:
    """What the arrays among them take, each counted once."""
    total, seen = 0, list[int]()
    for value in saved or ():
        if value is None:
            continue
        for array in value if type(value) is tuple else (value,):
            size = getattr(array, "nbytes", 0)
            if size and id(array) not in seen:
                seen.append(id(array))
                total += int(size)
    return total


def _pick(node: Node, k: int, tensor: Tensor, name: str) -> Node:
    return Node(
        name,
        "op",
        op="pick",
        scope=node.scope,
        inputs=(node.name,),
        flows=(tensor.requires_grad,),
        params={"index": k},
        shape=tensor.shape,
        dtype=tensor.dtype,
        tracked=tensor.requires_grad,
        source=node.source,
    )
