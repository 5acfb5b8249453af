"""Which parts of a brick a picture shows: chosen by rule, so that nobody picks the pretty ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

from skydenoise.evaluate.images import Image, Mask
from skydenoise.evaluate.psf import STAMP, moffat, star_shape, star_widths, whole_stamps
from skydenoise.io import Brick

EXTENDED = 1.25
"""Width over that of stars from which a source is a galaxy."""
BRIGHTEST = 100
"""Sources whose narrowest stand for stars where none is isolated."""


@dataclass(frozen=True)
class Zone:
    """A square of the brick: what it shows, its first row and column, 0-based, and its edge, pixels."""

    title: str
    y: int
    x: int
    size: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Slices of (y, x)."""
        return slice(self.y, self.y + self.size), slice(self.x, self.x + self.size)


def _centred(title: str, centre: Sequence[float], size: int, shape: tuple[int, int]) -> Zone:
    """Zone around a position (y, x), pushed inside the brick."""
    size = min(size, *shape)
    y, x = np.clip(np.rint(centre) - size // 2, 0, np.subtract(shape, size)).astype(int).tolist()
    return Zone(title, y, x, size)


def detect(image: NDArray, usable: Mask, sigma: float) -> NDArray:
    """Sources of one band (y, x) above 5 sigma: structured array of sep.extract, brightest first.

    Columns used: x, y, flux, a (rms length along the major axis, pixels), npix.
    """
    pixels = np.ascontiguousarray(image, dtype=np.float32)
    found = sep.extract(pixels, 5.0, err=sigma, mask=~usable, minarea=9, deblend_cont=0.05)
    return found[np.argsort(found["flux"])[::-1]]


def galaxy_zones(
    brick: Brick, image: Image, sigma_sky: Sequence[float], count: int = 6, size: int = 64
) -> list[Zone]:
    """Squares around the brightest extended sources of the middle band, brightest first.

    Extended: 1.25 times as wide as a star of the brick, by the adaptive moments of its core (evaluate.psf),
    which the wings of a bright star leave alone; where no star is isolated, 1.25 times the 10th percentile of
    the brightest sources. No unusable pixel, in any band, and no border lies within the stamp of the core,
    nor within twice the length along the major axis. Fewer if there are fewer.
    """
    band = len(brick.bands) // 2
    usable: Mask = np.logical_and.reduce(brick.usable)
    pixels = np.ascontiguousarray(image[band], dtype=np.float32)
    found = detect(pixels, brick.usable[band], sigma_sky[band])
    found = found[whole_stamps(found["x"], found["y"], usable)]
    if found.size == 0:
        return []
    stars = star_widths(pixels, brick.usable[band], np.full_like(pixels, sigma_sky[band]))
    if stars.size:
        star = star_shape(moffat(float(np.median(stars)), STAMP), STAMP, STAMP)[0]
    else:
        star = np.quantile([star_shape(pixels, each["x"], each["y"])[0] for each in found[:BRIGHTEST]], 0.1)
    x, y, length = found["x"], found["y"], found["a"]
    masked = np.ascontiguousarray(~usable, dtype=np.float32)
    touched, _, _ = sep.sum_circle(masked, x, y, 2 * length)
    border = np.minimum.reduce([x, y, brick.shape[1] - 1 - x, brick.shape[0] - 1 - y])
    candidates = found[(touched == 0) & (border > 2 * length)]
    extended = (each for each in candidates if star_shape(pixels, each["x"], each["y"])[0] > EXTENDED * star)
    chosen = islice(extended, count)
    return [
        _centred(f"galaxy {rank}", (galaxy["y"], galaxy["x"]), size, brick.shape)
        for rank, galaxy in enumerate(chosen, start=1)
    ]


def _faint_field(brick: Brick, image: Image, sigma_sky: Sequence[float], size: int) -> Zone:
    """The square with most pixels above 5 sigma, of those with fewest that are unusable or above 30 sigma.

    Squares are tried on a grid of half their edge, in the middle band.
    """
    band, size = len(brick.bands) // 2, min(size, *brick.shape)
    seen = image[band] > 5 * sigma_sky[band]
    spoiled = (image[band] > 30 * sigma_sky[band]) | ~brick.usable.all(axis=0)
    corners = product(*(range(0, edge - size + 1, max(1, size // 2)) for edge in brick.shape))

    def score(zone: Zone) -> tuple[int, int]:
        return -int(spoiled[zone.window].sum()), int(seen[zone.window].sum())

    return max((Zone("faint field", y, x, size) for y, x in corners), key=score)


def _saturated_star(brick: Brick, size: int) -> list[Zone]:
    """The square around the largest connected area of masked pixels with coverage; none without any."""
    areas, count = label((brick.masked & (brick.invvar > 0)).any(axis=0))
    if count == 0:
        return []
    parts = find_objects(areas)[int(np.argmax(np.bincount(areas.ravel())[1:]))]
    centre = [(part.start + part.stop - 1) / 2 for part in parts]
    return [_centred("largest saturated or bad area", centre, size, brick.shape)]


def choose_zones(brick: Brick, image: Image, sigma_sky: Sequence[float], size: int = 160) -> list[Zone]:
    """Brightest galaxy, faint field and saturated star of a brick, as far as it has them.

    image : in which sources are looked for, (band, y, x), nanomaggies
    sigma_sky : noise of a sky pixel per band, nanomaggies
    size : edge of a zone, pixels
    """
    return [
        *galaxy_zones(brick, image, sigma_sky, 1, size),
        _faint_field(brick, image, sigma_sky, size),
        *_saturated_star(brick, size),
    ]
