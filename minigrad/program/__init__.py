"""Computations recorded without values: what they consist of, and how whole steps of training are recorded."""

from minigrad.program.abstract import Abstract, Program, Step
from minigrad.program.record import program

__all__ = ["Abstract", "Program", "Step", "program"]
