"""The search of a run's bricks: scenes in, tables of detections out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skydenoise.evaluate.apertures import Apertures, combine
from skydenoise.evaluate.scene import Image, Scene
from skydenoise.evaluate.search.completeness import pool_matches, threshold_at_purity
from skydenoise.evaluate.search.detection import Matches, SceneDetections, detect
from skydenoise.evaluate.search.detectiontables import (
    Compared,
    completeness_table,
    detection_table,
    purity_table,
)
from skydenoise.evaluate.search.dual import measure_detected
from skydenoise.evaluate.search.matched import moffats
from skydenoise.evaluate.search.searchfield import searches
from skydenoise.evaluate.tables import write_table
from skydenoise.noise import NoiseModel

_log = logging.getLogger(__name__)

SAME_DETECTION = 0.5
"""Arcsec between the positions of one source that is detected in two overlapping bricks."""


@dataclass
class SearchRun:
    """What was found in the bricks so far.

    compared : of each brick, by method and by the search's name
    detected : of each brick, apertures around all detections by method
    """

    compared: list[Mapping[str, Mapping[str, Matches]]] = field(default_factory=list)
    detected: list[Mapping[str, Apertures]] = field(default_factory=list)

    def add(self, scene: Scene, methods: Mapping[str, Image], noise: NoiseModel) -> SceneDetections | None:
        """Search a brick; None, and a line in the log, if its point spread function is not known."""
        if not scene.psf_fwhm:
            _log.warning("brick %s: its truth has no card PSFFWHM, so it is not searched", scene.brick.name)
            return None
        found = detect(scene, methods, noise, moffats(scene.psf_fwhm))
        self.compared.append(found.compare())
        self.detected.append(measure_detected(scene, methods, noise, found))
        return found

    def pooled(self) -> Compared:
        """Matches of all bricks together, by method and by the search's name; empty without a brick."""
        return {
            method: {
                name: pool_matches([brick[method][name] for brick in self.compared]) for name in by_search
            }
            for method, by_search in (self.compared[0] if self.compared else {}).items()
        }

    def apertures(self) -> dict[str, Apertures]:
        """Apertures around the detections of all bricks, by method."""
        return {
            method: combine([brick[method] for brick in self.detected], SAME_DETECTION)
            for method in (self.detected[0] if self.detected else ())
        }


def pure_threshold(compared: Compared, method: str) -> float:
    """Score of 90 % purity of a method in all bands together; NaN if nothing was searched."""
    if method not in compared:
        return float("nan")
    *_, together = compared[method].values()
    return threshold_at_purity(together)


def write_search(
    compared: Compared, bands: Sequence[str], folder: Path, generator: np.random.Generator
) -> None:
    """Write detection.ecsv, completeness.ecsv and purity.ecsv into `folder`."""
    together = searches(bands)
    write_table(folder / "detection.ecsv", detection_table(compared, together, bands, generator))
    write_table(folder / "completeness.ecsv", completeness_table(compared, together, bands))
    write_table(folder / "purity.ecsv", purity_table(compared, together))
