"""A search of pure noise: every detection in it is false."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from skydenoise.evaluate.detection.detect import Peaks, find_peaks, searches
from skydenoise.evaluate.detection.field import away_from_borders
from skydenoise.evaluate.detection.matched import PointFilter, combined, depth, scores
from skydenoise.evaluate.images import Method, pixel_area
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel


def noise_brick(brick: Brick, noise: NoiseModel, generator: np.random.Generator) -> Brick:
    """A brick with the same coverage and inverse variance, and noise alone, correlated as measured."""
    image = noise.draw(brick.image.shape, generator) * noise.sigma(brick.invvar)
    return replace(brick, image=image.astype(np.float32, copy=False))


def search_noise(
    drawn: Brick, method: Method, point_filter: PointFilter, matched: PointFilter, noise: NoiseModel
) -> tuple[Mapping[str, Peaks], float]:
    """What a method shows in a brick of pure noise (`noise_brick`), searched as `detect` does.

    A denoised flux is shrunk towards zero, so that equal scores say nothing. To be fair count above the
    thresholds at which methods find as many sources (`completeness.equal_threshold`, in detection.ecsv).

    point_filter : with which the method's image is searched
    matched : the matched filter, whose error in the input is the unit of all scores

    Returns peaks by the search's name, and the area searched, arcmin^2.
    """
    limits = depth(noise.sigma(drawn.invvar), drawn.usable, matched)
    searched = limits.searched.all(axis=0) & away_from_borders(drawn.shape, matched)
    score = scores(method(drawn), drawn.usable, limits, point_filter)
    together = searches(drawn.bands).items()
    peaks = {name: find_peaks(combined(score[bands]), searched) for name, bands in together}
    return peaks, float(np.count_nonzero(searched)) * pixel_area(drawn.headers[0]) / 3600
