"""What every measure starts from: the image that a method makes of a brick, and the pixels that count."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from astropy.io import fits
from astropy.wcs.utils import proj_plane_pixel_area
from numpy.typing import NDArray

from skydenoise.io import Brick, Denoised, flag_bit
from skydenoise.io.wcs import celestial_wcs
from skydenoise.noise import NoiseModel

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Method = Callable[[Brick], Image]
"""What makes a denoised image, nanomaggies, (band, y, x) float32, of a brick."""


def measured_pixels(brick: Brick, denoised: Denoised) -> Mask:
    """Pixels with a measurement that is neither saturated, bad nor inpainted: (band, y, x) bool."""
    bits = [
        [1 << flag_bit(kind, band) for kind in ("NODATA", "INPAINTED")] for band in range(len(brick.bands))
    ]
    return np.asarray(brick.usable & ((denoised.flags & np.reshape(np.sum(bits, axis=1), (-1, 1, 1))) == 0))


def noise_brick(brick: Brick, noise: NoiseModel, generator: np.random.Generator) -> Brick:
    """A brick with the same coverage and inverse variance, and noise alone, correlated as measured."""
    image = noise.draw(brick.image.shape, generator) * noise.sigma(brick.invvar)
    return replace(brick, image=image.astype(np.float32, copy=False))


def pixel_scale(header: fits.Header) -> float:
    """Edge of a pixel on the sky, arcsec."""
    return float(np.sqrt(proj_plane_pixel_area(celestial_wcs(header))) * 3600)


def values_at(plane: NDArray, x: NDArray, y: NDArray) -> NDArray:
    """What a plane (..., y, x) holds at n 0-based positions, in the nearest of its pixels: (..., n)."""
    places = zip((y, x), plane.shape[-2:], strict=True)
    rows, columns = (np.clip(np.rint(at).astype(np.intp), 0, edge - 1) for at, edge in places)
    return np.asarray(plane[..., rows, columns])
