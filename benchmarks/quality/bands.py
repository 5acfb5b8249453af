"""Bands denoised jointly, separately, and without one another: errors, seconds, leaks, BORROWED, coverage.

    python -m benchmarks.quality.bands                   # models/reference, two bricks of 1000 x 1000
    python -m benchmarks.quality.bands --noise bass --model results/mine/model

A source borrows where its aperture fluxes, denoised jointly and separately, differ by more than the noise of
the aperture in the input. It counts as flagged if a pixel within 2 of its place is. Sources are those of the
sky, with their true colours, and injected ones that are in one band alone, looked for in the others.
"""

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.machine import REPOSITORY, write_results
from benchmarks.quality import measure
from benchmarks.quality.injection_tests import Trial, Workload, injected_sources, make_trials
from benchmarks.quality.measurements import Measurement, Measurements
from benchmarks.quality.product import SEED, Product, load_product
from benchmarks.quality.sky import SEEDS, Sky, make_sky, sky_settings
from skydenoise.evaluate.aperture import RADIUS, aperture_noise, aperture_sums, inside_by
from skydenoise.io import Brick, flag_bit
from skydenoise.predict.calibrate import calibrate
from skydenoise.predict.denoise import denoise_brick, estimate_sky, noise_of, with_bands
from skydenoise.predict.denoiser import Denoiser

WORKLOAD = Workload(cutouts=4, size=384, rounds=9)
REACH = 2
"""Pixels around a source in which a flag is its own."""
UNTOUCHED = 0.3
"""Borrowed flux over the aperture's noise, below which a flag is a false one."""


@dataclass
class Flags:
    """Numbers of sources: that borrow, and those of them that are flagged; that do not, and likewise."""

    borrow: int = 0
    found: int = 0
    clean: int = 0
    false: int = 0

    def add(self, borrowed: NDArray[np.float64], near: NDArray[np.bool_]) -> None:
        """Borrowed : flux over the aperture's noise; near : whether it is flagged."""
        self.borrow += int(np.sum(borrowed > 1))
        self.found += int(np.sum(near & (borrowed > 1)))
        self.clean += int(np.sum(borrowed < UNTOUCHED))
        self.false += int(np.sum(near & (borrowed < UNTOUCHED)))

    def measurements(self, sources: str) -> Iterator[Measurement]:
        """Shares, with the error of a binomial one."""
        for what, hits, of in (("flagged", self.found, self.borrow), ("false flags", self.false, self.clean)):
            share = hits / max(of, 1)
            error = float(np.sqrt(share * (1 - share) / max(of, 1)))
            yield Measurement("joint", what, "all", sources, share, error)


def count_flags(
    denoiser: Denoiser, brick: Brick, x: NDArray, y: NDArray, which: NDArray, flags: Flags
) -> float:
    """Count the places that are `which`, (band, n) bool; returns the share of pixels that are flagged."""
    noise = noise_of(brick, denoiser)
    denoised = denoise_brick(brick, denoiser, noise)
    alone = estimate_sky(brick, noise, with_bands(denoiser, "separate"))[0]
    spread = aperture_noise(brick, noise, x, y)
    whole = (aperture_sums((~brick.usable).astype(np.float32), x, y) == 0) & which
    borrowed = np.abs(aperture_sums(denoised.image - alone, x, y)) / np.where(whole, spread, 1)
    marked = np.stack([denoised.flags >> flag_bit("BORROWED", band) & 1 for band in range(len(spread))]) == 1
    near = ndimage.maximum_filter(marked, (1, 2 * REACH + 1, 2 * REACH + 1))
    flags.add(borrowed[whole], near[:, np.rint(y).astype(int), np.rint(x).astype(int)][whole])
    return float(marked[brick.usable].mean())


def flag_shares(sky: Sky, denoiser: Denoiser, trials: Sequence[Trial]) -> Iterator[Measurement]:
    """How many borrowing sources are flagged, of the sky's and of injected ones."""
    denoiser = replace(denoiser, settings=replace(denoiser.settings, flag_borrowed=True))
    bricks = [scene.brick for scene in sky.scenes]
    uncertainty = calibrate(bricks, denoiser, np.random.default_rng(SEED))
    denoiser = replace(denoiser, uncertainty=uncertainty)
    flags, shares = Flags(), []
    for scene in sky.scenes:
        inside = inside_by(RADIUS, *scene.places, scene.brick.shape)
        x, y = (place[inside] for place in scene.places)
        every = np.ones((len(scene.brick.bands), len(x)), bool)
        shares.append(count_flags(denoiser, scene.brick, x, y, every, flags))
    yield from flags.measurements("of the sky")
    yield Measurement("joint", "flagged pixels", "all", "", float(np.mean(shares)), float(np.std(shares)))
    flags = Flags()
    for injection in (each for trial in trials for each in trial.injections):
        sources = injection.sources
        if (sources.alone >= 0).all():
            others = np.arange(len(sources.flux))[:, None] != sources.alone
            count_flags(denoiser, injection.brick, sources.x, sources.y, others, flags)
    yield from flags.measurements("in one band alone")


def coverage_without_bands(sky: Sky, denoiser: Denoiser) -> Iterator[Measurement]:
    """How often sigma holds the truth in bricks that have one or two of the bands."""
    bricks, bands = [scene.brick for scene in sky.scenes], sky.noise.bands
    denoiser = replace(denoiser, uncertainty=calibrate(bricks, denoiser, np.random.default_rng(SEED)))
    for kept in (*combinations(range(len(bands)), 1), *combinations(range(len(bands)), 2)):
        gone = [band for band in range(len(bands)) if band not in kept]
        scenes = []
        for scene in sky.scenes:
            brick, measured = deepcopy(scene.brick), scene.measured.copy()
            brick.image[gone], brick.invvar[gone], measured[gone] = 0, 0, False
            scenes.append(replace(scene, brick=brick, measured=measured))
        products = [denoise_brick(scene.brick, denoiser) for scene in scenes]
        found = measure.coverage(
            replace(sky, scenes=tuple(scenes)), " ".join(bands[k] for k in kept), products
        )
        yield from (each for each in found if np.isfinite(each.value))


def ways_compared(sky: Sky, joint: Product, trials: Sequence[Trial]) -> Iterator[Measurement]:
    """Errors, leaks and CPU seconds of both ways, and seconds with the flag."""
    ways = {"joint": joint, "separate": joint.with_settings(bands="separate")}
    yield from measure.pixels(
        sky, {name: [way(each.brick) for each in sky.scenes] for name, way in ways.items()}
    )
    for name, way in ways.items():
        found = injected_sources(sky, name, way, trials, np.random.default_rng(SEED))
        yield from (each for each in found if each.measure == "leak")
    for name, way in {**ways, "joint, flagged": joint.with_settings(flag_borrowed=True)}.items():
        start = time.process_time()
        for scene in sky.scenes:
            denoise_brick(scene.brick, way.denoiser)
        yield Measurement(name, "seconds", "", "", (time.process_time() - start) / len(sky.scenes), np.nan)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.bands", description=__doc__)
    add = parser.add_argument
    add("--noise", choices=tuple(SEEDS), default="decam")
    add("--model", type=Path, default=REPOSITORY / "models/reference")
    add("--bricks", type=int, default=2)
    add("--size", type=int, default=1000, help="edge of a brick, pixels")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    sky = make_sky(sky_settings(options.noise, options.bricks, options.size))
    product = load_product(options.model)
    trials = make_trials(sky, WORKLOAD, np.random.default_rng(SEED))
    found = Measurements(
        [
            *ways_compared(sky, product, trials),
            *flag_shares(sky, product.denoiser, trials),
            *coverage_without_bands(sky, product.denoiser),
        ]
    )
    for each in found:
        what = f"{each.method:15} {each.measure:15} {each.band:8} {each.bin:18}"
        print(f"{what} {each.value:.4g} ± {each.error:.2g}")
    content = {
        "sky": {"noise": options.noise, "bricks": options.bricks, "size": options.size},
        "measurements": found.to_json(),
    }
    print(f"written to {write_results('bands', 'benchmarks.quality.bands', content)}")


if __name__ == "__main__":
    main()
