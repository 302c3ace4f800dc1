"""Seeing a computation: `trace` records it, `Graph` holds it, draws it and writes it down, `render` runs Graphviz."""

from minigrad.graph.engine import render
from minigrad.graph.model import Graph
from minigrad.graph.nodes import Cotangent, Edge, Node, Scope
from minigrad.graph.programs import Abstract, Program, Step, program
from minigrad.graph.recorder import trace

__all__ = ["Abstract", "Cotangent", "Edge", "Graph", "Node", "Program", "Scope", "Step", "program", "render", "trace"]
