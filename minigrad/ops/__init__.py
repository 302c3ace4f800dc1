"""The primitives and compositions that users call. Imports among the files go one way:
compare, elementwise, functions, special, reduce, shape, index, arrange, scan, sorting, padding, linalg, decompose,
products, windows, conv, pool, creation, composite.
"""
