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
from dataclasses import replace
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
from skydenoise.evaluate.images import values_at
from skydenoise.io import Brick, flag_bit
from skydenoise.predict.calibrate import calibrate
from skydenoise.predict.denoise import denoise_brick, estimate_sky, noise_of, with_bands
from skydenoise.predict.denoiser import Denoiser

WORKLOAD = Workload(cutouts=4, size=384, rounds=9)
REACH = 2
"""Pixels around a source in which a flag is its own."""
UNTOUCHED = 0.3
"""Borrowed flux over the aperture's noise, below which a flag is a false one."""


def borrowed_and_flagged(
    denoiser: Denoiser, brick: Brick, x: NDArray, y: NDArray, which: NDArray
) -> tuple[NDArray, float]:
    """Of the places that are `which`, (band, n) bool, whose whole aperture is usable: (2, places).

    That is borrowed flux over the aperture's noise, and 1 where a flag is near, else 0; and the share of all
    pixels that is flagged.
    """
    noise = noise_of(brick, denoiser)
    denoised = denoise_brick(brick, denoiser, noise)
    alone = estimate_sky(brick, noise, with_bands(denoiser, "separate"))[0]
    spread = aperture_noise(brick, noise, x, y)
    whole = (aperture_sums((~brick.usable).astype(np.float32), x, y) == 0) & which
    borrowed = np.abs(aperture_sums(denoised.image - alone, x, y)) / np.where(whole, spread, 1)
    marked = np.stack([denoised.flags >> flag_bit("BORROWED", band) & 1 for band in range(len(spread))])
    near = values_at(ndimage.maximum_filter(marked, (1, 2 * REACH + 1, 2 * REACH + 1)), x, y)
    return np.stack([borrowed[whole], near[whole]]), float(marked[brick.usable].mean())


def shares(parts: Sequence[NDArray], sources: str) -> Iterator[Measurement]:
    """Shares of what borrows and of what does not that are flagged, with the error of a binomial one.

    parts : (2, n) each, from `borrowed_and_flagged`
    """
    borrowed, near = np.concatenate(parts, axis=1)
    for what, chosen in (("flagged", borrowed > 1), ("false flags", borrowed < UNTOUCHED)):
        number = max(1, np.count_nonzero(chosen))
        share = float(near[chosen].sum() / number)
        yield Measurement("joint", what, "all", sources, share, float(np.sqrt(share * (1 - share) / number)))


def flag_shares(sky: Sky, denoiser: Denoiser, trials: Sequence[Trial]) -> Iterator[Measurement]:
    """How many borrowing sources are flagged, of the sky's and of injected ones."""
    denoiser = replace(denoiser, settings=replace(denoiser.settings, flag_borrowed=True))
    bricks = [scene.brick for scene in sky.scenes]
    denoiser = replace(denoiser, uncertainty=calibrate(bricks, denoiser, np.random.default_rng(SEED)))
    nothing = np.zeros((2, 0))
    found, flagged = [nothing], []
    for scene in sky.scenes:
        inside = inside_by(RADIUS, *scene.places, scene.brick.shape)
        x, y = (place[inside] for place in scene.places)
        every = np.ones((len(scene.brick.bands), len(x)), bool)
        part, share = borrowed_and_flagged(denoiser, scene.brick, x, y, every)
        found.append(part)
        flagged.append(share)
    yield from shares(found, "of the sky")
    yield Measurement("joint", "flagged pixels", "all", "", float(np.mean(flagged)), float(np.std(flagged)))
    found = [nothing]
    for injection in (each for trial in trials for each in trial.injections):
        sources = injection.sources
        if (sources.alone >= 0).all():
            others = np.arange(len(sources.flux))[:, None] != sources.alone
            part, _ = borrowed_and_flagged(denoiser, injection.brick, sources.x, sources.y, others)
            found.append(part)
    yield from shares(found, "in one band alone")


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
    print(found.text())
    content = {
        "sky": {"noise": options.noise, "bricks": options.bricks, "size": options.size},
        "measurements": found.to_json(),
    }
    print(f"written to {write_results('bands', 'benchmarks.quality.bands', content)}")


if __name__ == "__main__":
    main()
