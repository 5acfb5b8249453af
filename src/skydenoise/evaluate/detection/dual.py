"""Photometry of what is detected: positions from one image, fluxes from that image or from the input."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from skydenoise.evaluate.aperture import RADIUS, aperture_sums, inside_by
from skydenoise.evaluate.detection.detect import Detections
from skydenoise.evaluate.detection.matches import match
from skydenoise.evaluate.images import Image
from skydenoise.evaluate.statistics import selected
from skydenoise.evaluate.truth.known import KnownBrick
from skydenoise.evaluate.truth.photometry import Apertures, measure_at
from skydenoise.noise import NoiseModel

DUAL = "dual"
"""Name in the tables: detected in the denoised image, measured on the input."""
SAME_DETECTION = 0.5
"""Arcsec between the positions of one source that is detected in two overlapping bricks."""


def with_dual(
    apertures: Apertures, known: KnownBrick, found: Detections, method: str, name: str = DUAL
) -> Apertures:
    """Add the input's fluxes where an image of all bands together shows the sources.

    The flux of a source is that of the noisy image around the position of its detection (brightest source
    first, `matches.match`); NaN without a detection, its score -inf.

    apertures : of the same brick, as from `photometry.measure`
    method : image in which was detected
    name : under which the fluxes and scores are added
    """
    bands, number = apertures.truth.shape
    flux, score = np.full((bands, number), np.nan), np.full(number, -np.inf)
    field, peaks = found.field, found.of_all_bands(method)
    chosen = match(peaks, field.x, field.y, field.strength(range(bands)))
    chosen = chosen[inside_by(RADIUS, field.x, field.y, known.brick.shape)]
    seen = chosen >= 0
    peaks = selected(peaks, chosen[seen])
    score[seen], flux[:, seen] = peaks.score, aperture_sums(known.brick.image, peaks.x, peaks.y)
    fluxes, scores = {**apertures.fluxes, name: flux}, {**apertures.scores, name: score}
    return replace(apertures, fluxes=fluxes, scores=scores)


def above(apertures: Apertures, thresholds: Mapping[str, float]) -> Apertures:
    """Forget fluxes of detections below their method's threshold: NaN. Methods without one keep theirs."""
    bright = {
        name: np.where(apertures.scores[name] >= threshold, apertures.fluxes[name], np.nan)
        for name, threshold in thresholds.items()
    }
    return replace(apertures, fluxes={**apertures.fluxes, **bright})


def measure_detected(
    known: KnownBrick, methods: Mapping[str, Image], noise: NoiseModel, found: Detections
) -> dict[str, Apertures]:
    """Apertures around everything that each method shows in all bands together, true or not, by method.

    Each holds the method's fluxes and those of the noisy image.
    """
    measured = {}
    for method, image in methods.items():
        peaks = found.of_all_bands(method)
        peaks = selected(peaks, inside_by(RADIUS, peaks.x, peaks.y, known.brick.shape))
        both = {"noisy": known.brick.image, method: image}
        measured[method] = measure_at(known, both, noise, peaks.x, peaks.y)
    return measured
