"""Panels: rows and columns of them, pixels and points in them, and the file that they end in."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from skydenoise.evaluate.figures.zones import Zone
from skydenoise.io.atomic import atomic_path

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito 2008: distinct for colour-blind people; markers differ too."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
FRAME = "#E69F00"
OUTLINE = [patheffects.withStroke(linewidth=3, foreground="black")]
"""White on black can be read on any sky."""


def style(number: int) -> dict[str, Any]:
    """Colour and marker of series `number`."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}


def save_figure(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` as PNG in one step."""
    with atomic_path(path) as partial:
        FigureCanvasAgg(figure).print_png(str(partial), metadata={"Software": "skydenoise"})


def make_panels(rows: int, columns: int, size: tuple[float, float], **shared: Any) -> tuple[Figure, Any]:
    """Figure of a size in inches, and its panels (rows, columns), at least one.

    shared : what else `Figure.subplots` takes, such as `sharex`
    """
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    return figure, figure.subplots(rows, max(1, columns), squeeze=False, **shared)


def show_pixels(panel: Axes, pixels: NDArray[np.uint8], scale: float, interpolation: str = "nearest") -> None:
    """One panel: first row below, as FITS has it; no ticks; a bar of known length.

    pixels : (y, x, 3)
    scale : edge of a pixel, arcsec
    """
    panel.imshow(pixels, origin="lower", interpolation=interpolation)
    panel.set(xticks=[], yticks=[])
    width = pixels.shape[1]
    choices = np.outer(10.0 ** np.arange(-1, 5), (1, 2, 5)).ravel()
    length = choices[np.argmin(np.abs(np.log(choices / (0.2 * width * scale))))]  # about a fifth of the panel
    start = 0.05 * width
    look: dict[str, Any] = {"color": "white", "path_effects": OUTLINE}
    panel.plot([start, start + length / scale], [start, start], linewidth=2, **look)
    panel.text(start, 1.3 * start, f"{length:g} arcsec", fontsize=7, va="bottom", **look)


def mark_zone(panel: Axes, zone: Zone, number: int) -> None:
    """A numbered frame around a zone in the picture of the whole brick."""
    corner = (zone.x - 0.5, zone.y - 0.5)
    panel.add_patch(Rectangle(corner, zone.size, zone.size, fill=False, edgecolor=FRAME, linewidth=1))
    panel.text(zone.x, zone.y + zone.size, f" {number}", color=FRAME, fontsize=9, va="top")
