"""`minigrad draw`: the computation graph of a layer as a picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.cli.arguments import new_file, shape
from minigrad.core import gradients, tensor
from minigrad.doctor import NO_LAYERS
from minigrad.errors import ArgumentError, MinigradError, UnknownLayerError


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "draw",
        help="draw the computation graph of a layer",
        description="Run a layer forward and backward on random numbers, and draw what it computes.",
        epilog="examples:\n"
        "  minigrad draw BatchNorm1d 3 --shape 4x3            the steps of the paper, both passes, values and rules\n"
        "  minigrad draw BatchNorm1d 3 --shape 4x3 --form run -o bn.png         what runs: exact, and arranged for it\n"
        "  minigrad draw Conv2d 1 8 3 padding=1 --shape 2x1x8x8 --passes forward -o conv.dot",
    )
    parser.add_argument("layer", help="a name that `minigrad layers` lists")
    parser.add_argument("arguments", nargs="*", help="of its constructor: 64, true, eps=1e-3, …")
    parser.add_argument("--shape", required=True, type=shape, help="of the input, such as 4x3")
    formats = ".svg .png .pdf .dot .json (default: LAYER.svg)"
    parser.add_argument("-o", "--out", type=new_file, metavar="FILE", help=formats)
    parser.add_argument("--depth", type=int, default=3, help="0 one box, 1 a box a layer, more opens (default: 3)")
    parser.add_argument("--passes", choices=["forward", "backward", "both"], default="both", help="(default: both)")
    parser.add_argument(
        "--form", choices=["textbook", "run"], default="textbook", help="the literature's steps, or what runs"
    )
    parser.add_argument("--eval", action="store_true", help="in evaluation: running statistics, no dropout")
    parser.add_argument("--order", type=int, choices=[1, 2], default=1, help="2 also differentiates the gradient")
    parser.add_argument(
        "--show",
        type=lambda text: tuple(text.split(",")),
        default=("shape", "value", "formula"),
        metavar="LIST",
        help="in the boxes, any of shape,dtype,value,grad,formula,source,bytes,state,random "
        "(default: shape,value,formula)",
    )
    parser.add_argument("--direction", choices=["TB", "LR"], default="TB")
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from minigrad.graph import trace

    layer = _constructed(arguments.layer, arguments.arguments).train(not arguments.eval)
    rng = np.random.default_rng(0)  # not minigrad's: drawn in the trace, its steps would be in the picture
    x = tensor(rng.standard_normal(arguments.shape), dtype="float32", requires_grad=True, name="x")
    with trace(layer, form=arguments.form) as graph:
        try:
            y = layer(x)
        except MinigradError as problem:
            raise ArgumentError(f"--shape {'x'.join(map(str, arguments.shape))}: {problem}") from problem
        cotangent = tensor(rng.standard_normal(y.shape), dtype=y.dtype)
        if arguments.order == 1:
            y.named("y").backward(cotangent)
        else:
            (g,) = gradients(y.named("y"), [x], cotangent=cotangent, create_graph=True)
            assert g is not None  # x is what the layer was called on
            g.named("dx").backward(tensor(rng.standard_normal(x.shape), dtype=x.dtype))
    out = arguments.out or Path(f"{arguments.layer}.svg")
    graph.save(
        out,
        depth=arguments.depth,
        passes=arguments.passes,
        show=arguments.show,
        direction=arguments.direction,
        theme=arguments.theme,
    )
    print(f"{out}: {layer!r}, {len(graph.nodes)} nodes")
    return 0


def _constructed(name: str, words: Sequence[str]) -> Any:
    """The layer `name`, made with arguments as they are written on a command line."""
    from minigrad.module import layer, layers

    try:
        values = [word.split("=", 1) if "=" in word else [word] for word in words]
        args = [_value(value[0]) for value in values if len(value) == 1]
        return layer(name, *args, **{value[0]: _value(value[1]) for value in values if len(value) == 2})
    except UnknownLayerError as problem:
        raise ArgumentError(NO_LAYERS if not layers() else str(problem)) from problem
    except (TypeError, ValueError) as problem:
        raise ArgumentError(f"{name}({', '.join(words)}): {problem}") from problem


def _value(text: str) -> Any:
    """A number, true, false, null or a list, as in JSON; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
