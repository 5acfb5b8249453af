"""An image brought onto another grid of pixels: fluxes are conserved, pixels without data spread nothing.

Pixels are nanomaggies, so a pixel of twice the area holds twice the number. A target pixel is the sum of
samples of the surface brightness (a cubic spline through the source's pixels), each times the area that it
stands for: one sample where target pixels are about as large as the source's or smaller, n x n where they are
larger.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel, proj_plane_pixel_area
from scipy.ndimage import binary_erosion, map_coordinates, spline_filter

from skydenoise.fill import fill

REACH = 2
"""Pixels; half the width of a cubic spline."""

SAMPLES = 2**22
"""Computed at a time: about 0.5 GB."""

Window = tuple[slice, slice]
"""Rows and columns of an image; both ends are given."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Pixels of a window of the target, each array (y, x) float32; 0 where there is no data.

    image : flux in a target pixel
    invvar : its inverse variance, from that of the nearest source pixels, as if noise were not correlated
    trust : 0 to 1, share of its samples that keep clear of the source's rim and holes; elsewhere the spline
        rests on pixels that were filled in
    """

    image: np.ndarray
    invvar: np.ndarray
    trust: np.ndarray


def window_of(wcs: WCS, shape: tuple[int, int], target: WCS, target_shape: tuple[int, int]) -> Window | None:
    """Window of the target that an image of this WCS and `shape` (y, x) may touch; None if there is none."""
    along, ends = np.linspace(0, 1, 33), np.repeat([0.0, 1.0], 33)
    x = np.concatenate([along, along, ends]) * shape[1] - 0.5
    y = np.concatenate([ends, along, along]) * shape[0] - 0.5
    places = np.array(pixels_in(wcs, target, x, y))
    finite = np.isfinite(places).all(axis=0)
    if not finite.any():
        return None
    window = []
    for values, size in zip(places[::-1], target_shape, strict=True):
        first, last = (values.min() - 1, values.max() + 2) if finite.all() else (0, size)
        window.append(slice(max(0, math.floor(first)), min(size, math.ceil(last))))
    rows, columns = window
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def resampled(
    image: np.ndarray, invvar: np.ndarray, wcs: WCS, target: WCS, window: Window
) -> Iterator[tuple[Window, Resampled]]:
    """Resample an image strip by strip, so that memory does not grow with the window.

    image, invvar : (y, x) float32; invvar is 0 where there is no data
    target, window : WCS of the result, and its pixels that are wanted

    Yields parts of the window, and what lies there.
    """
    usable = invvar > 0
    filled = fill(image[np.newaxis], usable[np.newaxis])[0]
    spline = spline_filter(filled, order=3, output=np.float32, mode="mirror")
    solid = binary_erosion(usable, iterations=REACH).astype(np.float32)
    side = math.sqrt(proj_plane_pixel_area(target) / proj_plane_pixel_area(wcs))
    fine = max(1, math.ceil(side - 0.01))
    rows, columns = window
    height = max(1, SAMPLES // ((columns.stop - columns.start) * fine**2))
    for start in range(rows.start, rows.stop, height):
        strip = slice(start, min(start + height, rows.stop)), columns
        yield strip, _strip(spline, invvar, solid, wcs, target, strip, fine)


def _strip(
    spline: np.ndarray, invvar: np.ndarray, solid: np.ndarray, wcs: WCS, target: WCS, strip: Window, fine: int
) -> Resampled:
    """Pixels of a strip, of fine x fine samples each."""
    y, x = (_samples(part, fine) for part in strip)
    source = np.array(pixels_in(target, wcs, *np.meshgrid(x, y))[::-1])  # y and x of each sample
    area = _area(source)  # source pixels in a sample
    places = np.where(np.isfinite(source), source, -REACH)[:, 1:-1, 1:-1]

    def nearest(pixels: np.ndarray) -> np.ndarray:
        return map_coordinates(pixels, places, order=0, mode="grid-constant")

    weight = np.where(np.isfinite(area), nearest(invvar), 0)
    inside = weight > 0
    brightness = map_coordinates(spline, places, order=3, mode="mirror", prefilter=False)
    flux = _sum(np.where(inside, brightness * area, 0), fine)
    share = _sum(inside, fine) / fine**2
    pixels = _sum(np.where(inside, area, 0), fine)
    divisor = np.where(share > 0, share, 1)
    ratio = np.where(share > 0, pixels / divisor, 1)  # source pixels in a target pixel
    image = flux / divisor
    variances = _sum(weight, fine) / fine**2 * np.maximum(ratio, 1) / ratio**2
    trust = _sum(nearest(solid) * inside, fine) / fine**2
    return Resampled(*(plane.astype(np.float32) for plane in (image, variances, trust)))


def _samples(part: slice, fine: int) -> np.ndarray:
    """Pixel coordinates of the samples along one axis, and of one more at each end."""
    count = (part.stop - part.start) * fine
    return part.start - 0.5 + (np.arange(-1, count + 1) + 0.5) / fine


def _area(places: np.ndarray) -> np.ndarray:
    """Source pixels in each sample but the outermost: the Jacobian of the samples' coordinates (2, y, x)."""
    along_y = (places[:, 2:, 1:-1] - places[:, :-2, 1:-1]) / 2
    along_x = (places[:, 1:-1, 2:] - places[:, 1:-1, :-2]) / 2
    return np.abs(along_y[0] * along_x[1] - along_y[1] * along_x[0])


def _sum(values: np.ndarray, fine: int) -> np.ndarray:
    """Sums over fine x fine samples."""
    height, width = (size // fine for size in values.shape)
    return values.reshape(height, fine, width, fine).sum(axis=(1, 3), dtype=np.float64)


def pixels_in(wcs: WCS, other: WCS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in `other` of the same places on the sky; NaN where it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # distortions far outside the image, whose inverse does not converge
        return pixel_to_pixel(wcs, other, x, y)
