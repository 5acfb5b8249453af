"""Photometry of what is detected: positions from one image, fluxes from that image or from the input."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from skydenoise.evaluate.apertures import Apertures, aperture_sums, circle_inside, measure_at
from skydenoise.evaluate.scene import Image, Scene
from skydenoise.evaluate.search.detection import Peaks, SceneDetections, match
from skydenoise.evaluate.search.matched import combined
from skydenoise.noise import NoiseModel

DUAL = "dual"
"""Name in the tables: detected in the denoised image, measured on the input."""


def with_dual(
    apertures: Apertures, scene: Scene, detections: SceneDetections | None, method: str, name: str = DUAL
) -> Apertures:
    """Add the input's fluxes where an image of all bands together shows the sources.

    The flux of a source is that of the noisy image around the position of its detection (brightest source
    first, `detection.match`); NaN without a detection, its score -inf.

    apertures : of the same scene, as from `apertures.measure`
    detections : None if the scene was not searched
    method : image in which was detected
    name : under which the fluxes and scores are added
    """
    flux = np.full(apertures.truth.shape, np.nan)
    score = np.full(len(apertures.direction), -np.inf)
    if detections is not None:
        field, search = detections.field, detections.searches[-1]
        peaks = detections.peaks[method][search.name]
        chosen = match(peaks, field.x, field.y, combined(field.significance[list(search.bands)]))
        chosen = chosen[circle_inside(field.x, field.y, scene.brick.shape)]
        seen = np.flatnonzero(chosen >= 0)
        at_x, at_y, score[seen] = (values[chosen[seen]] for values in (peaks.x, peaks.y, peaks.score))
        flux[:, seen] = np.stack([aperture_sums(band, at_x, at_y) for band in scene.brick.image])
    return replace(
        apertures,
        fluxes={**apertures.fluxes, name: flux},
        scores={**apertures.scores, name: score},
    )


def above(apertures: Apertures, thresholds: Mapping[str, float]) -> Apertures:
    """Forget fluxes of detections below their method's threshold: NaN. Methods without one keep theirs."""
    fluxes = dict(apertures.fluxes)
    for name, threshold in thresholds.items():
        fluxes[name] = np.where(apertures.scores[name] >= threshold, fluxes[name], np.nan)
    return replace(apertures, fluxes=fluxes)


def measure_detected(
    scene: Scene, methods: Mapping[str, Image], noise: NoiseModel, detections: SceneDetections
) -> dict[str, Apertures]:
    """Apertures around everything that each method shows in all bands together, true or not, by method.

    Each holds the method's fluxes, those of the noisy image, and the scores of the detections.
    """
    measured = {}
    for method, image in methods.items():
        peaks = detections.peaks[method][detections.searches[-1].name]
        inside = circle_inside(peaks.x, peaks.y, scene.brick.shape)
        peaks = Peaks(peaks.x[inside], peaks.y[inside], peaks.score[inside])
        images = {"noisy": scene.brick.image, method: image}
        found = measure_at(scene, images, noise, peaks.x, peaks.y)
        measured[method] = replace(found, scores={method: peaks.score})
    return measured
