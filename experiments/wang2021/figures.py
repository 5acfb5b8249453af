"""Figures that several experiments draw alike: a grid of images, and measures by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from skydenoise.evaluate.figures.panels import save_figure, style

Array = NDArray[Any]
Series = tuple[Array, Array] | tuple[Array, Array, Array]
"""Epochs, values and, if there are any, their errors, (n,) each."""

PANEL = 2.2
"""Width of a panel, inches."""


def image_grid(
    rows: Mapping[str, Mapping[str, Array]],
    path: Path,
    caption: str,
    limits: tuple[float, float] = (0, 1),
    colours: str = "gray",
) -> None:
    """Write a PNG of images: a title above each, the name of a row at its left.

    rows : by name, images (y, x), or (y, x, 3) in colour, by title; a row may be shorter than the others
    caption : below
    limits : values at the ends of matplotlib's map of `colours`
    """
    longest = max(len(row) for row in rows.values())
    heights = [PANEL * max(np.divide(*image.shape[:2]) for image in row.values()) for row in rows.values()]
    size = (PANEL * longest + 0.3, sum(heights) + 0.3 * len(rows) + 0.3)
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    grid = figure.subplots(len(rows), longest, squeeze=False, gridspec_kw={"height_ratios": heights})
    for line, (name, row) in zip(grid, rows.items(), strict=True):
        for place in line[len(row) :]:
            place.set_axis_off()
        for place, (title, image) in zip(line, row.items(), strict=False):
            place.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest")
            place.set(xticks=[], yticks=[])
            place.set_title(title, fontsize=8)
        line[0].set_ylabel(name, fontsize=9)
    figure.supxlabel(caption, fontsize=8)
    save_figure(figure, path)


def epoch_curves(panels: Mapping[str, Mapping[str, Series]], path: Path, logarithmic: bool = False) -> None:
    """Write a PNG with one panel per label of the vertical axis, a series per name."""
    figure = Figure(figsize=(4.6 * len(panels), 3.6), dpi=110, layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (label, series) in zip(grid, panels.items(), strict=True):
        for number, (name, curve) in enumerate(series.items()):
            axes.errorbar(*curve, label=name, markersize=4, capsize=2, **style(number))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=label, yscale="log" if logarithmic else "linear")
    grid[0].legend(fontsize=8)
    save_figure(figure, path)


def loss_curve(losses: Array) -> Series:
    """Losses (epochs,) as a series."""
    return np.arange(1, len(losses) + 1), losses
