"""Figures that several experiments draw alike: a grid of images, and measures by epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from skydenoise.evaluate.pictures.draw import save_figure
from skydenoise.evaluate.plots import style

Array = NDArray[Any]


@dataclass(frozen=True)
class Scaling:
    """How values become grey or colour.

    low, high : values at the ends
    colours : matplotlib's colour map
    """

    low: float
    high: float
    colours: str = "gray"


def image_grid(
    rows: Mapping[str, Mapping[str, Array]],
    scaling: Scaling,
    path: Path,
    caption: str,
    edge: float = 2.2,
) -> None:
    """Write a PNG of images: a title above each, the name of a row at its left.

    rows : by name, images (y, x) by title; a row may be shorter than the others
    caption : below
    edge : width of a panel, inches
    """
    columns = max(len(row) for row in rows.values())
    heights = [edge * max(image.shape[0] / image.shape[1] for image in row.values()) for row in rows.values()]
    figure = Figure(
        figsize=(edge * columns + 0.3, sum(heights) + 0.3 * len(rows) + 0.3), dpi=120, layout="constrained"
    )
    grid = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for line, (name, row) in zip(grid, rows.items(), strict=True):
        for place in line:
            place.set_axis_off()
        for place, (title, image) in zip(line, row.items(), strict=False):
            place.set_axis_on()
            place.imshow(
                image, cmap=scaling.colours, vmin=scaling.low, vmax=scaling.high, interpolation="nearest"
            )
            place.set_xticks([])
            place.set_yticks([])
            place.set_title(title, fontsize=8)
        line[0].set_ylabel(name, fontsize=9)
    figure.supxlabel(caption, fontsize=8)
    save_figure(figure, path)


@dataclass(frozen=True, eq=False)
class Curve:
    """Values by epoch; error may be empty."""

    epochs: Array
    values: Array
    error: Array | None = None


def epoch_curves(panels: Mapping[str, Mapping[str, Curve]], path: Path, logarithmic: bool = False) -> None:
    """Write a PNG with one panel per label of the vertical axis, a series per name; two rows from four on."""
    rows = 1 if len(panels) < 4 else 2
    columns = -(-len(panels) // rows)
    figure = Figure(figsize=(4.6 * columns, 3.6 * rows), dpi=110, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes, (label, series) in zip(grid, panels.items(), strict=False):
        for number, (name, curve) in enumerate(series.items()):
            axes.errorbar(
                curve.epochs, curve.values, curve.error, label=name, markersize=4, capsize=2, **style(number)
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        if logarithmic and all(np.all(curve.values > 0) for curve in series.values()):
            axes.set_yscale("log")
    grid[0].legend(fontsize=8)
    save_figure(figure, path)
