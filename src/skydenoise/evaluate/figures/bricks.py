"""Before and after: pictures of a brick and of parts of it, one scaling for all panels of a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from skydenoise.evaluate.figures.colour import composite
from skydenoise.evaluate.figures.panels import (
    mark_zone,
    picture_panels,
    save_figure,
    show_pixels,
    write_caption,
)
from skydenoise.evaluate.figures.zones import Zone, choose_zones, galaxy_zones
from skydenoise.evaluate.images import Image, pixel_scale
from skydenoise.evaluate.truth.known import has_truth, read_truth
from skydenoise.io import Brick, Denoised, read_brick, read_denoised, readable

PANEL = 3.4
"""Edge of a panel, inches."""


@dataclass(frozen=True, eq=False)
class Views:
    """All versions of a brick in the same colours.

    image : (band, y, x) nanomaggies, denoised, in which sources are looked for
    sigma : noise of a sky pixel of the input in each band, nanomaggies
    versions : (y, x, 3) uint8 by name; white where there are no data in any of the bands shown
    caption : what the colours stand for
    """

    brick: Brick
    image: Image
    sigma: tuple[float, ...]
    versions: Mapping[str, NDArray[np.uint8]]
    caption: str

    def show(self, panels: Sequence[Axes], zone: Zone) -> None:
        """Draw a zone of every version."""
        for panel, pixels in zip(panels, self.versions.values(), strict=True):
            show_pixels(panel, pixels[zone.window], pixel_scale(self.brick.headers[0]))


def make_views(brick: Brick, denoised: Denoised, truth: Image | None = None, credit: str = "") -> Views:
    """Observed and denoised brick, and the noise-free sky (band, y, x), nanomaggies, if it is known.

    In those bands alone that cover at least half of what the best covered one does.
    """
    share = (brick.invvar > 0).mean(axis=(1, 2))
    bands = np.flatnonzero(share >= share.max() / 2)
    brick, result = brick.in_bands(bands.tolist()), denoised.image[bands]
    truth = None if truth is None else truth[bands]
    sigma = sky_noise(brick)
    colours = composite(result, sigma)
    shown = list(colours.bands)
    covered = brick.invvar[shown] > 0
    some, every = covered.any(axis=0), covered.all(axis=0)
    versions = {}
    for name, image in (("input", brick.image), ("denoised", result)):
        versions[name] = colours.render(image)
        versions[name][~some & (image[shown] == 0).all(axis=0)] = 255
    if truth is not None:
        versions["truth"] = colours.render(truth)
    caption = f"{colours.describe(brick.bands)}, the same scaling everywhere."
    caption += "" if some.all() else " White: no data."
    caption += " Colours are false where a band has no data." if (some & ~every).any() else ""
    return Views(brick, result, sigma, versions, f"{caption} {credit}".strip())


def sky_noise(brick: Brick) -> tuple[float, ...]:
    """Median nominal noise of a usable pixel per band, nanomaggies."""
    return tuple(
        float(1 / np.sqrt(np.median(invvar[usable]))) if usable.any() else 1.0
        for invvar, usable in zip(brick.invvar, brick.usable, strict=True)
    )


def draw_bricks(
    names: Sequence[str], cache: Path, root: Path, bands: Sequence[str], folder: Path, credit: str
) -> None:
    """Draw <brick>-brick.png and <brick>-galaxies.png into `folder`; unreadable bricks are left out.

    names : bricks that were finished
    cache, root : folders of the observed bricks and of the run
    credit : whose pixels these are
    """

    def read(name: str) -> Views:
        brick, denoised = read_brick(cache, name, bands), read_denoised(root, name, bands)
        truth = read_truth(root, name, bands)[0] if has_truth(root, name, bands) else None
        return make_views(brick, denoised, truth, credit)

    for views in readable(names, read, step="pictures"):
        before_after(views, folder / f"{views.brick.name}-brick.png")
        galaxy_gallery(views, folder / f"{views.brick.name}-galaxies.png")


def before_after(views: Views, path: Path) -> None:
    """Draw the whole brick and zones chosen by rule, all versions side by side, as PNG."""
    zones = choose_zones(views.brick, views.image, views.sigma)
    height, width = views.brick.shape
    whole = PANEL * np.clip(height / width, 0.3, 2.5)
    figure, panels = picture_panels([whole] + [PANEL] * len(zones), len(views.versions), PANEL)
    for panel, (name, pixels) in zip(panels[0], views.versions.items(), strict=True):
        show_pixels(panel, pixels, pixel_scale(views.brick.headers[0]), "antialiased")
        panel.set_title(name, fontsize=11)
        for number, zone in enumerate(zones, start=1):
            mark_zone(panel, zone, number)
    panels[0][0].set_ylabel(f"brick {views.brick.name}", fontsize=10)
    for number, (row, zone) in enumerate(zip(panels[1:], zones, strict=True), start=1):
        views.show(row, zone)
        row[0].set_ylabel(f"{number}  {zone.title}", fontsize=10)
    write_caption(figure, f"brick {views.brick.name}", views.caption)
    save_figure(figure, path)


def galaxy_gallery(views: Views, path: Path) -> None:
    """Draw the brightest galaxies of a brick, one row per version."""
    zones = galaxy_zones(views.brick, views.image, views.sigma)
    size = PANEL / 1.7
    figure, panels = picture_panels([size] * len(views.versions), max(1, len(zones)), size)
    if not zones:
        for panel in np.ravel(panels):
            panel.set_axis_off()
        panels[0][0].text(0.5, 0.5, "no extended source above 5 sigma", ha="center", va="center")
    for column, zone in zip(panels.T, zones, strict=False):
        views.show(column, zone)
        column[0].set_title(f"x {zone.x + zone.size // 2}, y {zone.y + zone.size // 2}", fontsize=8)
    for panel, name in zip(panels[:, 0], views.versions, strict=True):
        panel.set_ylabel(name, fontsize=10)
    write_caption(figure, f"brick {views.brick.name}", views.caption)
    save_figure(figure, path)
