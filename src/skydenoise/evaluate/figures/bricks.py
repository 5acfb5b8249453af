"""Before and after: pictures of a brick and of parts of it, one scaling for all panels of a picture."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skydenoise.evaluate.figures.colour import composite
from skydenoise.evaluate.figures.panels import make_panels, mark_zone, save_figure, show_pixels
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
        chosen = views.brick, views.image, views.sigma
        draw_zones(views, choose_zones(*chosen), folder / f"{views.brick.name}-brick.png", whole=True)
        draw_zones(views, galaxy_zones(*chosen), folder / f"{views.brick.name}-galaxies.png", whole=False)


def draw_zones(views: Views, zones: Sequence[Zone], path: Path, *, whole: bool) -> None:
    """Draw the whole brick, if wanted or if there is no zone, and zones of it, all versions side by side."""
    height, width = views.brick.shape
    first = [PANEL * np.clip(height / width, 0.3, 2.5)] if whole or not zones else []
    heights, columns = first + [PANEL] * len(zones), len(views.versions)
    size = columns * PANEL + 0.5, sum(heights) + 0.9  # with room for title and caption
    figure, panels = make_panels(len(heights), columns, size, gridspec_kw={"height_ratios": heights})
    scale = pixel_scale(views.brick.headers[0])
    for column, (name, pixels) in zip(panels.T, views.versions.items(), strict=True):
        column[0].set_title(name, fontsize=11)
        if first:
            show_pixels(column[0], pixels, scale, "antialiased")
        for number, (panel, zone) in enumerate(zip(column[len(first) :], zones, strict=True), start=1):
            show_pixels(panel, pixels[zone.window], scale)
            if first:
                mark_zone(column[0], zone, number)
    titles = ["whole brick"] * len(first) + [f"{k}  {zone.title}" for k, zone in enumerate(zones, start=1)]
    for panel, title in zip(panels[:, 0], titles, strict=True):
        panel.set_ylabel(title, fontsize=10)
    figure.suptitle(f"brick {views.brick.name}", fontsize=13)
    figure.supxlabel(textwrap.fill(views.caption, int(13 * figure.get_figwidth())), fontsize=8)
    save_figure(figure, path)
