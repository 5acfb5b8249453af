"""Detections in an image of pure noise: every one of them is false."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from skydenoise.evaluate.scene import Image, pixel_area
from skydenoise.evaluate.search.detection import find_peaks
from skydenoise.evaluate.search.matched import PointFilter, combined, depth, scores
from skydenoise.evaluate.search.searchfield import Search, away_from_borders
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel


@dataclass(frozen=True)
class Detector:
    """How a method looks for sources.

    restore : makes its image (band, y, x), nanomaggies, of a brick; the brick's own for the matched filter
    point_filter : with which the image is searched
    """

    restore: Callable[[Brick], Image]
    point_filter: PointFilter


@dataclass(frozen=True)
class FalseDetections:
    """How many there are in how much area.

    count : detections
    arcmin2 : area searched
    """

    count: int
    arcmin2: float

    @property
    def density(self) -> tuple[float, float]:
        """Per square arcmin, and its standard error; of one detection where there is none."""
        return self.count / self.arcmin2, float(np.sqrt(max(1, self.count))) / self.arcmin2


def noise_brick(brick: Brick, noise: NoiseModel, generator: np.random.Generator) -> Brick:
    """A brick with the same coverage and inverse variance, and noise alone, correlated as measured."""
    image = noise.draw(brick.image.shape, generator) * noise.sigma(brick.invvar)
    return replace(brick, image=image.astype(np.float32, copy=False))


def false_detections(
    brick: Brick,
    noise: NoiseModel,
    matched: PointFilter,
    detectors: Mapping[str, Detector],
    thresholds: Mapping[tuple[str, Search], float],
    generator: np.random.Generator,
) -> dict[tuple[str, Search], FalseDetections]:
    """Detections above a threshold in one image of pure noise, the same for all methods.

    To be fair the thresholds are those at which the methods are equally deep, that is find as many sources
    (`completeness.equal_threshold`, a column of detection.ecsv): a restored flux is shrunk towards zero, so
    that equal scores say nothing.

    Parameters
    ----------
    brick
        gives coverage, inverse variance and masks; its pixels are not used
    noise
        as measured
    matched
        the matched filter, whose error in the input is the unit of all scores
    detectors
        by the method's name
    thresholds
        by method and search
    generator
        of the noise

    Returns
    -------
    by method and search; further images are added by summing counts and areas
    """
    drawn = noise_brick(brick, noise, generator)
    limits = depth(noise.sigma(drawn.invvar), drawn.usable, matched)
    searched = limits.searched.all(axis=0) & away_from_borders(brick.shape, matched)
    arcmin2 = float(np.count_nonzero(searched)) * pixel_area(brick.headers[0]) / 3600
    found = {}
    for method, detector in detectors.items():
        score = scores(detector.restore(drawn), drawn.usable, limits, detector.point_filter)
        for (name, search), threshold in thresholds.items():
            if name == method:
                peaks = find_peaks(combined(score[list(search.bands)]), searched)
                found[name, search] = FalseDetections(int(np.sum(peaks.score >= threshold)), arcmin2)
    return found
