"""Transforms of functions: derivatives of any order, and what they run a function with."""
