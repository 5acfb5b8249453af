"""As many injections as it takes to measure a denoiser, and the height above which it shows a source."""

import logging
from collections.abc import Sequence
from itertools import cycle

import numpy as np
from scipy import ndimage

from skydenoise.config import EvaluationSettings
from skydenoise.errors import BrickError
from skydenoise.evaluate.images import Image, Method, noise_brick, pixel_scale
from skydenoise.evaluate.injection.inject import Sources, inject, make_canvas, measure_injected
from skydenoise.evaluate.psf import measure_fwhm
from skydenoise.evaluate.statistics import Array, joined
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel

_log = logging.getLogger(__name__)

SOURCES_AT_ONCE = 32
"""In one cutout at most; places that are empty and far enough apart are often fewer."""
ONE_BAND_EVERY = 3
"""One in so many rounds of injections puts sources into single bands, to see what leaks."""

RATE = 20.0
"""False peaks per million pixels that a threshold of detection lets through: one on an arcminute squared."""
PEAK = 5
"""Edge of the square in which a peak is the highest pixel."""


def known_fwhm(brick: Brick, noise: NoiseModel, settings: EvaluationSettings) -> tuple[float, ...]:
    """Width of point sources in each band, pixels: of the settings or of the brick's stars.

    Empty, with a word in the log, if there are none, or if nothing is to be injected.
    """
    if not settings.injections:
        return ()
    if settings.fwhm:
        return tuple(width / pixel_scale(brick.headers[0]) for width in settings.fwhm)
    try:
        return measure_fwhm(brick, noise)
    except BrickError as error:
        _log.warning("nothing is injected; evaluate.fwhm can say how wide the seeing is: %s", error)
        return ()


def inject_many(
    cutouts: Sequence[tuple[Brick, Image, tuple[float, ...]]],
    method: Method,
    noise: NoiseModel,
    generator: np.random.Generator,
    wanted: int,
    one_band_every: int = ONE_BAND_EVERY,
) -> Sources | None:
    """Put `wanted` sources into cutouts, in turn and in as many rounds as that takes, and measure them.

    cutouts : brick, what the method makes of it, width of point sources (`known_fwhm`); those without a
        known width are left out
    generator : of all that is random
    one_band_every : one in so many rounds puts sources into single bands

    Returns the sources, fewer if there is no room; None if there are none.
    """
    usable = [(brick, image, fwhm) for brick, image, fwhm in cutouts if fwhm]
    if not usable or wanted == 0:
        return None
    limits = thresholds([noise_peaks(brick, method, noise, generator) for brick, *_ in usable])
    _log.info("a pixel is a detection above %s sigma", ", ".join(f"{limit:.3f}" for limit in limits))
    places = [(make_canvas(brick, noise, fwhm), image) for brick, image, fwhm in usable]
    parts: list[Sources] = []
    rounds = max(one_band_every, len(noise.bands))  # of few sources, too, some go into single bands
    at_once = min(SOURCES_AT_ONCE, -(-wanted // rounds))
    left, fruitless = wanted, 0
    for turn, (canvas, image) in enumerate(cycle(places)):
        if left == 0 or fruitless == len(places):
            break
        again = 0 if len(places) % one_band_every else turn // len(places)  # or some would never have it
        done, rest = divmod(turn + again, one_band_every)
        one_band = done % len(noise.bands) if rest == one_band_every - 1 else None
        injection = inject(canvas, generator, count=min(left, at_once), one_band=one_band)
        number = injection.sources.x.size
        left, fruitless = left - number, 0 if number else fruitless + 1
        if number:
            parts.append(measure_injected(injection, method, image, limits))
    _log.info("%d sources injected, %d runs of the method", wanted - left, len(parts))
    return joined(parts) if parts else None


def noise_peaks(
    cutout: Brick, method: Method, noise: NoiseModel, generator: np.random.Generator
) -> tuple[list[Array], Array]:
    """Peaks in what a method makes of a cutout that holds noise alone, drawn with the measured covariance.

    Returns heights in each band, (peaks,), in units of the pixel's noise in the input, and how many pixels
    were searched, (band,).
    """
    image, usable = method(noise_brick(cutout, noise, generator)), cutout.usable
    peaks = (image == ndimage.maximum_filter(image, (1, PEAK, PEAK))) & usable & (image > 0)
    planes = zip(image, noise.sigma(cutout.invvar), peaks, strict=True)
    heights = [(plane[peak] / sigma[peak]).astype(np.float64) for plane, sigma, peak in planes]
    return heights, np.count_nonzero(usable, axis=(1, 2)).astype(np.float64)


def thresholds(parts: Sequence[tuple[Sequence[Array], Array]], rate: float = RATE) -> tuple[float, ...]:
    """Height in each band above which pure noise has `rate` peaks per million pixels, in units of the noise.

    parts : of each cutout, from `noise_peaks`; where there are fewer peaks than that the threshold is 0
    """
    result = []
    for band in range(len(parts[0][0])):
        heights = np.sort(np.concatenate([part[0][band] for part in parts]))[::-1]
        allowed = int(rate * sum(part[1][band] for part in parts) / 1e6)
        result.append(float(heights[allowed]) if allowed < heights.size else 0.0)
    return tuple(result)
