"""Before and after: figures of a brick and of parts of it, one scaling for all panels of a figure."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_scales
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from skydenoise.evaluate.pictures.colour import Composite, composite
from skydenoise.evaluate.pictures.zones import Zone, choose_zones, galaxy_zones
from skydenoise.evaluate.scene import Image
from skydenoise.io import Brick, Denoised
from skydenoise.io.atomic import atomic_path

PANEL = 3.4
"""Edge of a panel, inches."""
FRAME = "#E69F00"
"""Orange of Okabe & Ito's palette, distinct for colour-blind people."""
OUTLINE = [patheffects.withStroke(linewidth=3, foreground="black")]
"""White on black can be read on any sky."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` as PNG in one step."""
    with atomic_path(path) as partial:
        FigureCanvasAgg(figure).print_png(str(partial), metadata={"Software": "skydenoise"})


def before_after(
    brick: Brick,
    denoised: Denoised,
    path: Path,
    truth: Image | None = None,
    title: str = "",
    credit: str = "",
) -> None:
    """Picture of a whole brick and of zones chosen by rule, observed and denoised side by side.

    Parameters
    ----------
    brick, denoised
        as observed and as denoised
    path
        PNG to write
    truth
        noise-free sky (band, y, x) in nanomaggies, for a third column
    title, credit
        above and below the panels; whose pixels these are
    """
    sigma = sky_noise(brick)
    colours = composite(denoised.image, sigma)
    zones = choose_zones(brick, denoised.image, sigma)
    columns = rendered(brick, denoised, truth, colours)
    height, width = brick.shape
    whole = PANEL * np.clip(height / width, 0.3, 2.5)
    figure, panels = grid([whole] + [PANEL] * len(zones), len(columns), PANEL)
    scale = arcsec_per_pixel(brick.headers[0])
    for panel, (name, pixels) in zip(panels[0], columns.items(), strict=True):
        show(panel, pixels, scale, "antialiased")
        panel.set_title(name, fontsize=11)
        for number, zone in enumerate(zones, start=1):
            corner = (zone.x - 0.5, zone.y - 0.5)
            panel.add_patch(Rectangle(corner, zone.size, zone.size, fill=False, edgecolor=FRAME, linewidth=1))
            panel.text(zone.x, zone.y + zone.size, f" {number}", color=FRAME, fontsize=9, va="top")
    panels[0][0].set_ylabel(f"brick {brick.name}", fontsize=10)
    for number, (row, zone) in enumerate(zip(panels[1:], zones, strict=True), start=1):
        _show_zone(row, columns, zone, scale)
        row[0].set_ylabel(f"{number}  {zone.title}", fontsize=10)
    finish(figure, title, f"{_legend(brick, colours)} {credit}".strip())
    save_figure(figure, path)


def galaxy_gallery(
    brick: Brick,
    denoised: Denoised,
    path: Path,
    truth: Image | None = None,
    title: str = "",
    credit: str = "",
) -> None:
    """Picture of the brightest galaxies of a brick: one row per version; parameters as in `before_after`."""
    sigma = sky_noise(brick)
    colours = composite(denoised.image, sigma)
    zones = galaxy_zones(brick, denoised.image, sigma)
    columns = rendered(brick, denoised, truth, colours)
    figure, panels = grid([PANEL / 1.7] * len(columns), max(1, len(zones)), PANEL / 1.7)
    if not zones:
        for panel in np.ravel(panels):
            panel.set_axis_off()
        panels[0][0].text(0.5, 0.5, "no extended source above 5 sigma", ha="center", va="center")
    for number, zone in enumerate(zones):
        column = [row[number] for row in panels]
        _show_zone(column, columns, zone, arcsec_per_pixel(brick.headers[0]))
        column[0].set_title(f"x {zone.x + zone.size // 2}, y {zone.y + zone.size // 2}", fontsize=8)
    for row, name in zip(panels, columns, strict=True):
        row[0].set_ylabel(name, fontsize=10)
    finish(figure, title, f"{_legend(brick, colours)} {credit}".strip())
    save_figure(figure, path)


def sky_noise(brick: Brick) -> tuple[float, ...]:
    """Median nominal noise of a usable pixel per band, nanomaggies."""
    return tuple(
        float(1 / np.sqrt(np.median(invvar[usable]))) if usable.any() else 1.0
        for invvar, usable in zip(brick.invvar, brick.usable, strict=True)
    )


def arcsec_per_pixel(header: fits.Header) -> float | None:
    """Scale of the image, or None if the header has no celestial WCS."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # old spellings of dates and frames
        wcs = WCS(header, naxis=2)
    if not wcs.has_celestial:
        return None
    return 3600 * float(np.mean(proj_plane_pixel_scales(wcs)))


def rendered(
    brick: Brick, denoised: Denoised, truth: Image | None, colours: Composite
) -> dict[str, NDArray[np.uint8]]:
    """Every version as (y, x, 3) uint8, by its name; white where it has no data in any of the bands shown."""
    shown = list(colours.bands)
    covered = (brick.invvar[shown] > 0).any(axis=0)
    versions = {"input": brick.image, "denoised": denoised.image}
    if truth is not None:
        versions["truth"] = truth
    result = {}
    for name, image in versions.items():
        result[name] = colours.render(image)
        if name != "truth":
            result[name][~covered & (image[shown] == 0).all(axis=0)] = 255
    return result


def grid(heights: Sequence[float], columns: int, width: float) -> tuple[Figure, Any]:
    """Figure with panels of given heights and width, inches, and room for title and caption."""
    total = columns * width + 0.5, sum(heights) + 0.9
    figure = Figure(figsize=total, dpi=110, layout="constrained")
    panels = figure.subplots(
        len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": list(heights)}
    )
    return figure, panels


def _legend(brick: Brick, colours: Composite) -> str:
    text = f"{colours.describe(brick.bands)}, the same scaling everywhere."
    covered = brick.invvar[list(colours.bands)] > 0
    some, every = covered.any(axis=0), covered.all(axis=0)
    if not some.all():
        text += " White: no data."
    return f"{text} Colours are false where a band has no data." if (some & ~every).any() else text


def finish(figure: Figure, title: str, caption: str) -> None:
    """Title above and caption below the panels, in lines that fit."""
    if title:
        figure.suptitle(title, fontsize=13)
    width = int(13 * figure.get_figwidth())
    figure.supxlabel(_wrapped(caption, width), fontsize=8)


def _wrapped(text: str, width: int) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n".join(line.rstrip() for line in lines)


def _show_zone(
    panels: Sequence[Axes], columns: Mapping[str, NDArray[np.uint8]], zone: Zone, scale: float | None
) -> None:
    for panel, pixels in zip(panels, columns.values(), strict=True):
        show(panel, pixels[zone.window], scale, "nearest")


def show(panel: Axes, pixels: NDArray[np.uint8], scale: float | None, interpolation: str) -> None:
    """One panel: first row below, as FITS has it; no ticks; a bar of known length."""
    panel.imshow(pixels, origin="lower", interpolation=interpolation)
    panel.set_xticks([])
    panel.set_yticks([])
    _length_bar(panel, pixels.shape[1], scale)


def _length_bar(panel: Axes, width: int, scale: float | None) -> None:
    """A bar of about a fifth of the panel: arcsec, or pixels where the scale is not known."""
    unit = scale or 1.0
    choices = np.outer(10.0 ** np.arange(-1, 5), (1, 2, 5)).ravel()
    length = choices[np.argmin(np.abs(np.log(choices / (0.2 * width * unit))))]
    pixels, start, height = length / unit, 0.05 * width, 0.05 * width
    panel.plot([start, start + pixels], [height, height], color="white", linewidth=2, path_effects=OUTLINE)
    label = f"{length:g} arcsec" if scale else f"{length:g} pixels"
    panel.text(start, 1.3 * height, label, color="white", fontsize=7, va="bottom", path_effects=OUTLINE)
