"""The primitives and compositions that users call. Imports among the files go one way:
elementwise, reduce, shape, index, linalg, conv, creation, composite.
"""
