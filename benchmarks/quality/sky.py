"""The test sky: simulated bricks with their truth, of seeds that no training run uses."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import REPOSITORY
from skydenoise.evaluate.truth.known import KnownBrick, read_psf_fwhm, read_truth
from skydenoise.io import Brick, Denoised, read_brick
from skydenoise.noise import NoiseModel, measure_noise
from skydenoise.noise.sky_sums import tally_sky
from skydenoise.paths import Survey, truth_catalogue
from skydenoise.simulate import BANDS, SimulationSettings, brick_names
from skydenoise.simulate.scene import electrons_per_nanomaggy
from skydenoise.simulate.survey import simulate_brick

_log = logging.getLogger(__name__)

CACHE = REPOSITORY / "results/quality_cache"
"""Simulated bricks are kept here."""
SEEDS = {"decam": 90001, "bass": 90002}
"""Of the test skies. Training skies have the seeds in decam.yaml and bass.yaml."""


@dataclass(frozen=True, eq=False)
class Sky:
    """What all methods are measured on.

    settings : of the simulation
    scenes : bricks with truth and catalogue
    noise : measured on these bricks, as a user would on his
    """

    settings: SimulationSettings
    scenes: tuple[KnownBrick, ...]
    noise: NoiseModel

    @property
    def fwhm(self) -> tuple[float, ...]:
        """Of the point spread function in each band, pixels."""
        return self.scenes[0].psf_fwhm

    @property
    def electrons(self) -> tuple[float, ...]:
        """Per nanomaggy in each band."""
        return tuple(electrons_per_nanomaggy(band, self.settings) for band in range(len(BANDS)))

    @property
    def pixels(self) -> int:
        """Of one band, in all bricks."""
        return sum(scene.brick.shape[0] * scene.brick.shape[1] for scene in self.scenes)


def sky_settings(noise: str, bricks: int, size: int) -> SimulationSettings:
    """A row of bricks that do not overlap, so that no pixel counts twice."""
    return SimulationSettings(seed=SEEDS[noise], bricks=bricks, size=size, step=2, noise=noise)


def simulated_bricks(settings: SimulationSettings, cache: Path) -> tuple[Path, Path]:
    """Simulate the bricks of `settings` under `cache`, unless they are there.

    Returns
    -------
    raw, root : folders for `read_brick` and `read_truth`
    """
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:12]
    root = cache / f"{settings.noise}-{digest}"
    mirror = root / "survey"
    survey = Survey(str(mirror), settings.release, settings.region)
    for name in brick_names(settings):
        if not (Path(survey.checksums(name)).exists() and truth_catalogue(root, name).exists()):
            _log.info("simulating brick %s", name)
            simulate_brick(name, settings, mirror, root)
    return Path(survey.root) / "coadd", root


def make_scene(brick: Brick, root: Path, noise: NoiseModel) -> KnownBrick:
    """A brick with its truth and nothing denoised: the noisy image with its noise stands for the product."""
    truth, sources = read_truth(root, brick.name, brick.bands)
    flags = np.zeros(brick.shape, np.int32)
    return KnownBrick(
        brick=brick,
        measured=brick.usable,
        denoised=Denoised(brick.image, noise.sigma(brick.invvar), flags),
        truth=truth,
        sources=sources,
        psf_fwhm=read_psf_fwhm(root, brick.name, brick.bands),
    )


def make_sky(settings: SimulationSettings, cache: Path = CACHE) -> Sky:
    """Simulate (or find) the bricks, read them and measure their noise."""
    raw, root = simulated_bricks(settings, cache)
    bricks = [read_brick(raw, name, BANDS) for name in brick_names(settings)]
    noise = measure_noise(((brick.name, brick.bands, tally_sky(brick, 8)) for brick in bricks), 5)
    return Sky(settings, tuple(make_scene(brick, root, noise) for brick in bricks), noise)
