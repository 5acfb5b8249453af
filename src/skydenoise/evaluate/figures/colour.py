"""Pictures of a brick's pixels as astronomers make them: one asinh composite for all versions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.visualization import AsinhStretch, make_lupton_rgb
from numpy.typing import NDArray

from skydenoise.evaluate.images import Image

BRIGHT_ABOVE = 10.0
"""Pixels above this many sigma in every band set the balance of colours."""


@dataclass(frozen=True)
class Composite:
    """How nanomaggies become colours, so that all panels of a picture share it.

    bands : numbers of the bands shown as red, green and blue; one number for a grey picture
    weight : factor on each of these bands before they are combined, nanomaggies^-1
    sigma : noise of the mean of the weighted bands in the noisy input, no unit
    """

    bands: tuple[int, ...]
    weight: tuple[float, ...]
    sigma: float

    def render(self, image: Image) -> NDArray:
        """(y, x, 3) uint8 of an image (band, y, x) in nanomaggies.

        Intensity is the mean of the weighted bands, mapped by asinh (Lupton et al. 2004, PASP 116, 133):
        black 1.5 sigma below the sky, linear up to a few sigma, logarithmic above.
        """
        scaled = [image[band] * weight for band, weight in zip(self.bands, self.weight, strict=True)]
        if len(scaled) == 3:
            return make_lupton_rgb(*scaled, minimum=-1.5 * self.sigma, stretch=8 * self.sigma, Q=8)
        level = (np.mean(scaled, axis=0) / self.sigma + 1.5) / 150
        grey = 255 * AsinhStretch(a=0.02)(level, clip=True)
        return np.repeat(grey[..., None].astype(np.uint8), 3, axis=-1)

    def describe(self, bands: Sequence[str]) -> str:
        """What the colours stand for, in words."""
        names = [bands[band] for band in self.bands]
        if len(names) == 3:
            return f"red, green, blue = {', '.join(names)}; asinh"
        return f"{' + '.join(names)} in units of the noise; asinh"


def composite(image: Image, sigma_sky: Sequence[float]) -> Composite:
    """Colours for a brick: the reddest, middle and bluest of three or more bands, else grey.

    Bands are weighted so that bright pixels are neutral in the median; by the noise where fewer than 50
    pixels are bright, and in grey.

    image : (band, y, x), nanomaggies, denoised
    sigma_sky : noise of a sky pixel of the input per band, nanomaggies
    """
    sigma, count = np.asarray(sigma_sky, dtype=np.float64), len(sigma_sky)
    shown = [count - 1, count // 2, 0] if count >= 3 else [*range(count)]
    bright = (image > BRIGHT_ABOVE * sigma[:, None, None]).all(axis=0)
    weight = 1 / sigma
    if count >= 3 and np.count_nonzero(bright) >= 50:
        weight = 1 / np.median(image[:, bright] / image[:, bright].sum(axis=0), axis=1)
    noise = float(np.linalg.norm((weight * sigma)[shown]) / len(shown))
    return Composite(tuple(shown), tuple(weight[shown].tolist()), noise)
