"""Seeing a computation: `trace` records it, `Graph` holds it, draws it and writes it down."""

from minigrad.graph.model import Graph
from minigrad.graph.nodes import Cotangent, Edge, Node, Scope
from minigrad.graph.recorder import trace

__all__ = ["Cotangent", "Edge", "Graph", "Node", "Scope", "trace"]
