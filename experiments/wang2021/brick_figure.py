"""The paper's view of a brick (Wang et al. 2021, Fig. 11): raw above restored, in colour and in each band."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from skydenoise.evaluate.pictures.colour import Composite, composite
from skydenoise.evaluate.pictures.draw import (
    FRAME,
    arcsec_per_pixel,
    finish,
    grid,
    save_figure,
    show,
    sky_noise,
)
from skydenoise.evaluate.pictures.zones import Zone, choose_zones
from skydenoise.evaluate.scene import Image
from skydenoise.io import Brick, Denoised

PANEL = 2.4
"""Width of a panel, inches."""


@dataclass(frozen=True, eq=False)
class _Column:
    """One way to look at all images: a title, and raw and restored as (y, x, 3) uint8."""

    title: str
    versions: dict[str, NDArray[np.uint8]]


def band_figure(
    brick: Brick, raw: Image, denoised: Denoised, path: Path, title: str = "", credit: str = ""
) -> None:
    """Draw the whole brick, then the zones that `choose_zones` finds in its input; each raw above restored.

    Columns are the colour composite (of three or more bands) and each band in grey, in units of its noise;
    a column has one scale.

    raw : (band, y, x) pixels as they were delivered, saturated ones too
    path : PNG to write
    title, credit : above and below the panels; whose pixels these are
    """
    sigma = sky_noise(brick)
    colours = composite(denoised.image, sigma)
    zones = choose_zones(brick, brick.image, sigma)  # the same ones, however it was restored
    columns = _columns(brick.bands, {"raw": raw, "restored": denoised.image}, colours, sigma)
    height, width = brick.shape
    heights = [PANEL * float(np.clip(height / width, 0.3, 2.5))] * 2 + [PANEL] * 2 * len(zones)
    figure, panels = grid(heights, len(columns), PANEL)
    whole = Zone("whole brick", 0, 0, 0)
    for number, zone in enumerate([whole, *zones]):
        _draw_zone(
            panels[2 * number : 2 * number + 2], columns, zone, number, arcsec_per_pixel(brick.headers[0])
        )
    for column, panel in zip(columns, panels[0], strict=True):
        panel.set_title(column.title, fontsize=10)
        for number, zone in enumerate(zones, start=1):
            _mark(panel, zone, number)
    text = (
        f"{colours.describe(brick.bands)}; grey: one band in units of its noise, asinh. One scale per column."
    )
    finish(figure, title, f"{text} {credit}".strip())
    save_figure(figure, path)


def _columns(
    bands: Sequence[str], images: Mapping[str, Image], colours: Composite, sigma: Sequence[float]
) -> list[_Column]:
    looks = [(bands[band], Composite((band,), (1 / noise,), 1.0)) for band, noise in enumerate(sigma)]
    if len(colours.bands) == 3:
        looks.insert(0, ("colour", colours))
    return [
        _Column(title, {name: look.render(image) for name, image in images.items()}) for title, look in looks
    ]


def _draw_zone(
    rows: NDArray, columns: Sequence[_Column], zone: Zone, number: int, scale: float | None
) -> None:
    """Two rows of panels: raw and restored; a zone of size 0 is the whole brick."""
    window = zone.window if zone.size else (slice(None), slice(None))
    for row, version in zip(rows, ("raw", "restored"), strict=True):
        for panel, column in zip(row, columns, strict=True):
            show(panel, column.versions[version][window], scale, "nearest" if zone.size else "antialiased")
        row[0].set_ylabel(f"{number}  {zone.title}\n{version}" if zone.size else version, fontsize=9)


def _mark(panel: Axes, zone: Zone, number: int) -> None:
    corner = (zone.x - 0.5, zone.y - 0.5)
    panel.add_patch(Rectangle(corner, zone.size, zone.size, fill=False, edgecolor=FRAME, linewidth=1))
    panel.text(zone.x, zone.y + zone.size, f" {number}", color=FRAME, fontsize=8, va="top")
