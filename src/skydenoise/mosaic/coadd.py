"""One block of a mosaic: the inputs that touch it, interpolated onto its pixels and averaged."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import pixel_to_pixel, proj_plane_pixel_scales
from reproject import reproject_interp

from skydenoise.errors import BrickError
from skydenoise.fill import fill

MARGIN = 16
"""Input pixels read around what a block needs: a cubic spline forgets by 0.27 per pixel, so to 1e-9."""

NODES = 5
"""Nodes per axis of a block at which the area of a pixel is computed."""


WHOLE = 0.999
"""A pixel covered to this share counts as covered: coordinates are not exact."""

LAST_RESORT = 1e-6
"""Factor of the weight of a value at the rim of a brick or of a hole: it counts only if there is no other."""


@dataclass(frozen=True)
class Window:
    """Pixels y0 <= y < y1, x0 <= x < x1 of an image."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x)."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def empty(self) -> bool:
        """Whether it has no pixel."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    def inside(self, shape: tuple[int, int]) -> bool:
        """Whether it keeps clear of the borders of an image of this shape."""
        return self.y0 > 0 and self.x0 > 0 and self.y1 < shape[0] and self.x1 < shape[1]

    def touches(self, other: "Window") -> bool:
        """Whether the two have a pixel in common."""
        return self.y0 < other.y1 and other.y0 < self.y1 and self.x0 < other.x1 and other.x0 < self.x1


@dataclass(frozen=True)
class Source:
    """One image of a brick with its weights; HDU 1 holds the pixels.

    brick : name
    image : file, nanomaggies
    invvar : file, nanomaggies^-2, 0 where a pixel is not usable
    header : of the image
    shape : (y, x)
    """

    brick: str
    image: Path
    invvar: Path
    header: fits.Header
    shape: tuple[int, int]

    @classmethod
    def open(cls, image: Path, invvar: Path) -> "Source":
        """Read the header of `image`; raises BrickError if that fails or it has no celestial WCS."""
        with _image_hdu(image, image.parent.name) as hdu:
            header, shape = hdu.header.copy(), hdu.shape
        brick = str(header.get("BRICKNAM", image.parent.name))
        try:
            celestial_wcs(header)
        except ValueError as error:
            raise BrickError(str(error), brick=brick, file=image) from error
        return cls(brick, image, invvar, header, (int(shape[0]), int(shape[1])))

    @property
    def wcs(self) -> WCS:
        """Celestial WCS of the pixels."""
        return celestial_wcs(self.header)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Image, its unusable pixels filled from their neighbours, and weight, 0 there; (y, x) float32.

        Only the window is read and decompressed. Raises BrickError.
        """
        image, weight = self._section(self.image, window), self._section(self.invvar, window)
        usable = np.isfinite(image) & np.isfinite(weight) & (weight > 0)
        if not usable.all():
            image = fill(image[None], usable[None])[0]
        return image, np.where(usable, weight, np.float32(0))

    def _section(self, path: Path, window: Window) -> np.ndarray:
        with _image_hdu(path, self.brick) as hdu:
            if hdu.shape != self.shape:
                cause = f"shape {hdu.shape} is not the image's {self.shape} (y, x)"
                raise BrickError(cause, brick=self.brick, file=path)
            return np.asarray(hdu.section[window.y0 : window.y1, window.x0 : window.x1], np.float32)


@contextmanager
def _image_hdu(path: Path, brick: str) -> Iterator[fits.CompImageHDU]:
    """HDU 1 of a file; whatever goes wrong with it becomes a BrickError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # what matters fails, in a moment
            with fits.open(path) as hdus:
                if len(hdus[1].shape) != 2:
                    raise OSError(f"HDU 1 has {len(hdus[1].shape)} axes, not 2")
                yield hdus[1]
    except (OSError, IndexError, ValueError, TypeError) as error:
        raise BrickError(f"cannot be read, truncated? ({error})", brick=brick, file=path) from error


def celestial_wcs(header: fits.Header) -> WCS:
    """WCS of a header; raises ValueError if it is not a celestial one of two axes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # dates and the like, which do not matter here
        wcs = WCS(header)
    if wcs.naxis != 2 or not wcs.has_celestial:
        raise ValueError("no celestial WCS of two axes")
    return wcs


def projected(window: Window, wcs: WCS, onto: WCS, shape: tuple[int, int], margin: int) -> Window:
    """Window of the image with the WCS `onto` and `shape` (y, x) that holds `window` of the one with `wcs`.

    margin : pixels added around it. The window is empty if the two lie on opposite sides of the sky, and the
    whole image if they do in part.
    """
    x, y = pixel_to_pixel(wcs, onto, *_outline(window))
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.all():
        return Window(0, shape[0], 0, shape[1]) if finite.any() else Window(0, 0, 0, 0)
    y0, x0 = (max(0, math.floor(values.min()) - margin) for values in (y, x))
    y1, x1 = (
        min(size, math.ceil(values.max()) + 1 + margin) for size, values in zip(shape, (y, x), strict=True)
    )
    return Window(y0, y1, x0, x1)


def _outline(window: Window, points: int = 33) -> tuple[np.ndarray, np.ndarray]:
    """X and y of points on the four outer edges of a window's pixels."""
    along, ends = np.linspace(0, 1, points), np.repeat([0.0, 1.0], points)
    x = np.concatenate([along, along, ends])
    y = np.concatenate([ends, along, along])
    return window.x0 - 0.5 + x * window.shape[1], window.y0 - 0.5 + y * window.shape[0]


def pixel_side(wcs: WCS) -> float:
    """Geometric mean of a pixel's sides at the reference point, in degrees."""
    return float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs))))


def coadd_block(
    wcs: WCS, order: str, fine: int, block: Window, sources: Sequence[Source]
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of the sources on one block of a mosaic.

    wcs : of the mosaic
    order : of the interpolation, "bilinear" or "bicubic"
    fine : sub-pixels per pixel and axis at which the sources are sampled
    block : of the mosaic's pixels
    sources : those that touch the block

    Returns mosaic (y, x) float32, nanomaggies per pixel, and footprint (y, x) float32, nanomaggies^-2: the
    mean of the weights, weighted by themselves. Both are 0 where no source has a usable pixel. Raises
    BrickError.
    """
    part = _subdivided(wcs, block, fine)
    shape = (block.shape[0] * fine, block.shape[1] * fine)
    flux, weights, squares = (np.zeros(block.shape) for _ in range(3))
    for source in sources:
        values, weight, inside = _resampled(source, part, shape, order)
        share = _means(inside, fine)
        mean = np.divide(_means(values * inside, fine), share, out=np.zeros(block.shape), where=share > 0)
        weight = _means(weight, fine)
        trusted = weight * np.where(share > WHOLE, 1, LAST_RESORT * share)
        flux += mean * fine**2 * trusted
        weights += trusted
        squares += weight * trusted
    covered = weights > 0
    mosaic = np.divide(flux, weights, out=flux, where=covered)
    footprint = np.divide(squares, weights, out=squares, where=covered)
    return mosaic.astype(np.float32), footprint.astype(np.float32)


def _resampled(
    source: Source, wcs: WCS, shape: tuple[int, int], order: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, weights and trust of a source on the pixels of `wcs`, each (y, x) float64.

    Values are nanomaggies per pixel of `wcs`, weights those of the nearest source pixel, 0 for none. Trust is
    1 where a value lies between usable source pixels, LAST_RESORT in the outer half of the last usable pixel,
    where the gradient beyond is unknown, and 0 where the weight is.
    """
    own = source.wcs
    window = projected(Window(0, shape[0], 0, shape[1]), wcs, own, source.shape, MARGIN)
    if window.empty:
        return np.zeros(shape), np.zeros(shape), np.zeros(shape)
    image, invvar = source.read(window)
    own = own[window.y0 : window.y1, window.x0 : window.x1]
    own.wcs.crpix += 1  # for one pixel of padding
    values = _interpolated(np.pad(image, 1, mode="edge"), own, wcs, shape, order)
    weight = np.nan_to_num(_interpolated(np.pad(invvar, 1), own, wcs, shape, "nearest-neighbor"))
    weight[np.isnan(values)] = 0
    trust = (weight > 0).astype(float)
    if not (invvar.all() and window.inside(source.shape)):
        usable = np.pad((invvar > 0).astype(np.float32), 1)
        between = np.nan_to_num(_interpolated(usable, own, wcs, shape, "bilinear"))
        trust[between < WHOLE] *= LAST_RESORT
    return np.nan_to_num(values) * _area_ratio(wcs, own, shape), weight, trust


def _interpolated(values: np.ndarray, wcs: WCS, onto: WCS, shape: tuple[int, int], order: str) -> np.ndarray:
    """(y, x) float64, NaN outside of `values`."""
    return reproject_interp(
        (values, wcs), onto, shape, order=order, roundtrip_coords=False, return_footprint=False
    )


def _subdivided(wcs: WCS, block: Window, fine: int) -> WCS:
    """WCS of a block whose pixels are divided into fine x fine."""
    part = wcs[block.y0 : block.y1, block.x0 : block.x1].deepcopy()
    part.wcs.crpix = (part.wcs.crpix - 0.5) * fine + 0.5
    if part.wcs.has_cd():
        part.wcs.cd = part.wcs.cd / fine
    else:
        part.wcs.cdelt = part.wcs.cdelt / fine
    part.wcs.set()
    return part


def _means(values: np.ndarray, fine: int) -> np.ndarray:
    """Means over fine x fine pixels."""
    height, width = (size // fine for size in values.shape)
    return values.reshape(height, fine, width, fine).mean(axis=(1, 3))


def _area_ratio(wcs: WCS, source: WCS, shape: tuple[int, int]) -> np.ndarray:
    """(y, x) area of a pixel of `wcs` in units of pixels of `source`: the Jacobian between the two.

    Not constant: at an angle t from its tangent point, a pixel of a TAN image covers cos(t)^3 of the central
    one's area (0.3 % less at 2.5 degrees). Taken from central differences at NODES x NODES nodes, and
    bilinearly between them.
    """
    y, x = (np.linspace(0, size - 1, NODES) for size in shape)
    node_y, node_x = np.meshgrid(y, x, indexing="ij")

    def moved(by_x: float, by_y: float) -> np.ndarray:
        return np.array(pixel_to_pixel(wcs, source, node_x + by_x, node_y + by_y))

    along_x, along_y = moved(0.5, 0) - moved(-0.5, 0), moved(0, 0.5) - moved(0, -0.5)
    nodes = np.abs(along_x[0] * along_y[1] - along_x[1] * along_y[0])
    columns = np.array([np.interp(np.arange(shape[1]), x, row) for row in nodes])  # (NODES, x)
    place = np.linspace(0, NODES - 1, shape[0])
    lower = np.minimum(place.astype(int), NODES - 2)
    share = (place - lower)[:, None]
    return columns[lower] * (1 - share) + columns[lower + 1] * share
