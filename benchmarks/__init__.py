"""Speed and memory of minigrad beside its peers: `python -m benchmarks` prints one table.

Nothing here is part of the library, and the library imports nothing from here.
"""
