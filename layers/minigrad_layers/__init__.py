"""The layers of minigrad, one family a file, each built from primitives."""
