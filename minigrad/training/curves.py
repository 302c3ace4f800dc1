"""The learning curves of a history as a picture, drawn by matplotlib (extra `train`) without a screen."""

from __future__ import annotations

import io
import os
from typing import Any

from minigrad.errors import BackendUnavailable
from minigrad.saving import atomic
from minigrad.training.history import History

__all__ = ["draw_curves"]

TRAIN, VALID = "#3d7ab8", "#c2691c"


def draw_curves(records: list[dict[str, Any]], path: str | os.PathLike[str], title: str = "") -> None:
    """One panel a figure (loss, accuracy, …), over the epochs; training and validation beside each other, as PNG.

    Raises:
        BackendUnavailable: matplotlib is not installed.
        OSError: the file cannot be written.

    Example:
        >>> from minigrad.training.curves import draw_curves
        >>> draw_curves([{"epoch": 1, "loss": 0.5, "val_loss": 0.6}], "curves.png")
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as problem:
        raise BackendUnavailable(
            f"{path} is not drawn: matplotlib is not installed; pip install matplotlib (the extra `train` brings it)"
        ) from problem
    kept = History(records).names
    names = [name for name in kept if not name.startswith("val_")]
    figure = Figure(figsize=(4.6 * max(len(names), 1), 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        percent = 100 if name.endswith("accuracy") else 1
        for key, label, colour in ((name, "training", TRAIN), (f"val_{name}", "validation", VALID)):
            if key in kept:
                there = [record for record in records if key in record]
                epochs, values = [r["epoch"] for r in there], [percent * r[key] for r in there]
                mark = "o" if len(epochs) < 40 else ""
                axes.plot(epochs, values, color=colour, marker=mark, markersize=3, linewidth=1.6, label=label)
        if name == "loss":
            axes.set_yscale("log")
        axes.set_title(name + (" (%)" if percent == 100 else " (logarithmic)" if name == "loss" else ""), fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    atomic.write(path, [picture.getvalue()])
