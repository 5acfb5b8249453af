"""The paper's view of a brick (Wang et al. 2021, Fig. 11): raw above restored, in colour and in each band."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skydenoise.evaluate.figures.bricks import sky_noise
from skydenoise.evaluate.figures.colour import Composite, composite
from skydenoise.evaluate.figures.panels import (
    mark_zone,
    picture_panels,
    save_figure,
    show_pixels,
    write_caption,
)
from skydenoise.evaluate.figures.zones import Zone, choose_zones
from skydenoise.evaluate.images import Image, pixel_scale
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
    figure, panels = picture_panels(heights, len(columns), PANEL)
    whole = Zone("whole brick", 0, 0, 0)
    for number, zone in enumerate([whole, *zones]):
        _draw_zone(panels[2 * number : 2 * number + 2], columns, zone, number, pixel_scale(brick.headers[0]))
    for column, panel in zip(columns, panels[0], strict=True):
        panel.set_title(column.title, fontsize=10)
        for number, zone in enumerate(zones, start=1):
            mark_zone(panel, zone, number)
    text = (
        f"{colours.describe(brick.bands)}; grey: one band in units of its noise, asinh. One scale per column."
    )
    write_caption(figure, title, f"{text} {credit}".strip())
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


def _draw_zone(rows: NDArray, columns: Sequence[_Column], zone: Zone, number: int, scale: float) -> None:
    """Two rows of panels: raw and restored; a zone of size 0 is the whole brick."""
    window = zone.window if zone.size else (slice(None), slice(None))
    for row, version in zip(rows, ("raw", "restored"), strict=True):
        for panel, column in zip(row, columns, strict=True):
            show_pixels(
                panel, column.versions[version][window], scale, "nearest" if zone.size else "antialiased"
            )
        row[0].set_ylabel(f"{number}  {zone.title}\n{version}" if zone.size else version, fontsize=9)
