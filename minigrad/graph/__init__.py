"""Seeing a computation: `trace` records it, `Graph` holds it, draws it and writes it down, `Routes` and
`Derivation` explain a gradient, `render` runs Graphviz.
"""

from typing import TYPE_CHECKING

from minigrad.answers import module_getattr
from minigrad.graph.derivation import Derivation
from minigrad.graph.graph import Graph
from minigrad.graph.nodes import Cotangent, Edge, Node, Scope
from minigrad.graph.recorder import trace
from minigrad.graph.rendering import render
from minigrad.graph.routes import Routes
from minigrad.program import Abstract, Program, Step, program

__all__ = [
    "Abstract", "Cotangent", "Derivation", "Edge", "Graph", "Node", "Program", "Routes", "Scope", "Step", "program",
    "render", "trace",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)
