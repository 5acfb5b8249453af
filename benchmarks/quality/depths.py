"""Errors and fluxes by depth: one sky with 1, 2, 3 and 7 passes in steps, in each of four kinds of noise.

    python -m benchmarks.quality.depths                                  # models/reference
    python -m benchmarks.quality.depths --quick --noise bass --model results/mine/model

Each region of one depth is measured alone: errors are in units of 3 asinh(x / 3 sigma) of the region's own
sigma, and sources count where their aperture lies in the region. All is printed, and written to
benchmarks/results/quality-depths.json.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from benchmarks.machine import REPOSITORY, write_results
from benchmarks.quality import measure
from benchmarks.quality.acceptance import DEPTH_CRITERIA, judge
from benchmarks.quality.classical import noisy
from benchmarks.quality.measure import Images
from benchmarks.quality.measurements import Measurement, Measurements
from benchmarks.quality.methods import Comparison, add_classical, make_images, shown
from benchmarks.quality.product import load_product
from benchmarks.quality.sky import Sky, make_sky
from skydenoise.evaluate.truth.photometry import combine
from skydenoise.evaluate.truth.photometry import measure as measure_apertures
from skydenoise.network.device import cuda_usable
from skydenoise.simulate import SimulationSettings, brick_field
from skydenoise.simulate.camera import pass_map

NOISES = ("decam", "bass", "between", "resampled")
PASSES = {1: "1 pass", 2: "2 passes", 3: "3 passes", 7: "7 passes"}
SEED = 90003
STEP_REACH = 8
"""Pixels from a step of depth to which a pixel lies at it."""


def depth_settings(noise: str, bricks: int, size: int) -> SimulationSettings:
    """Bricks that do not overlap, each with a quarter of its area at every depth."""
    depths = {"passes": tuple(PASSES), "pass_cell": size // 2}
    return SimulationSettings(seed=SEED, bricks=bricks, size=size, step=2, noise=noise, **depths)


def regions(sky: Sky) -> Iterator[tuple[str, Sky, Sky]]:
    """Name of each depth, and the sky with only its pixels measured, and with only those of them at steps."""
    fields = [brick_field(row, sky.settings) for row in range(len(sky.scenes))]
    maps = [pass_map(field, sky.settings) for field in fields]
    reach = 2 * STEP_REACH + 1
    steps = [maximum_filter(each, reach) > minimum_filter(each, reach) for each in maps]
    for passes, name in PASSES.items():
        region = only(sky, [each == passes for each in maps])
        region = replace(region, noise=replace(sky.noise, sigma_sky=typical_sigma(region)))
        yield name, region, only(region, steps)


def only(sky: Sky, where: Sequence[NDArray[np.bool_]]) -> Sky:
    """The sky with only the pixels `where`, (y, x) of each brick, measured."""
    pairs = zip(sky.scenes, where, strict=True)
    return replace(
        sky, scenes=tuple(replace(scene, measured=scene.measured & inside) for scene, inside in pairs)
    )


def typical_sigma(sky: Sky) -> tuple[float, ...]:
    """Rms noise of the median measured pixel, by band, nanomaggies."""
    noises = [sky.noise.sigma(scene.brick.invvar) for scene in sky.scenes]
    measured = np.concatenate([scene.measured.reshape(3, -1) for scene in sky.scenes], axis=1)
    sigma = np.concatenate([each.reshape(3, -1) for each in noises], axis=1)
    return tuple(float(np.median(own[here])) for own, here in zip(sigma, measured, strict=True))


def measure_depths(sky: Sky, comparison: Comparison, images: Images) -> Iterator[Measurement]:
    """Errors, their ratio at steps, flux bias and coverage of all methods, by depth."""
    bricks = [scene.brick for scene in sky.scenes]
    products = {name: own.with_uncertainty(bricks) for name, own in comparison.products.items()}
    for name, region, at_steps in regions(sky):
        both = zip(measure.pixels(region, images), measure.pixels(at_steps, images), strict=True)
        for whole, step in both:
            yield replace(whole, bin=name)
            if whole.measure == "error":
                ratio, error = step.value / whole.value, step.error / whole.value
                yield Measurement(whole.method, "step_ratio", whole.band, name, ratio, error)
        found = []
        for number, scene in enumerate(region.scenes):
            here = {method: each[number] for method, each in images.items()}
            found.append(measure_apertures(scene, here, region.noise))
        apertures = combine(found)
        for each in measure.fluxes(sky.noise.bands, apertures, np.random.default_rng(SEED)):
            if each.measure == "flux_bias":
                yield replace(each, bin=f"{each.bin}, {name}")
        for method, denoised in products.items():
            for each in measure.coverage(region, method, denoised):
                yield replace(each, bin=f"{each.bin}, {name}")


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality.depths",
        description="Errors and fluxes by depth and kind of noise.",
    )
    add = parser.add_argument
    add("--noise", nargs="+", choices=NOISES, default=NOISES)
    add("--model", type=Path, nargs="+", default=[REPOSITORY / "models/reference"])
    add("--quick", action="store_true", help="one brick of 512 pixels")
    add("--bricks", type=int, help="of each sky; default 2, quick: 1")
    add("--size", type=int, help="edge of a brick, pixels; default 1000, quick: 512")
    add("--device", default="cuda" if cuda_usable() else "cpu", help="of networks: cpu, cuda")
    add("--name", default="quality-depths", help="of the file in benchmarks/results")
    options = parser.parse_args()
    options.bricks = options.bricks or (1 if options.quick else 2)
    options.size = options.size or (512 if options.quick else 1000)
    return options


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    rows, lines, notes = [], [], {}
    for noise in options.noise:
        sky = make_sky(depth_settings(noise, options.bricks, options.size))
        comparison = Comparison({"noisy": noisy})
        add_classical(comparison, sky)
        for folder in options.model:
            comparison.add(shown(folder), load_product(folder, device=options.device))
        images, times = make_images(sky, comparison.methods)
        found = Measurements([*measure_depths(sky, comparison, images), *times])
        verdicts = {name: judge(found, name, DEPTH_CRITERIA) for name in comparison.products}
        print(f"{noise}\n{found.text()}")
        for name, each in verdicts.items():
            print(f"\nAccepted: {name}", *each, "", sep="\n")
        rows += [{"noise": noise} | row for row in found.to_json()]
        lines += [
            {"noise": noise, "model": name} | verdict.to_json()
            for name, each in verdicts.items()
            for verdict in each
        ]
        notes[noise] = comparison.notes
    content = {
        "sky": {"bricks": options.bricks, "size": options.size, "seed": SEED, "passes": list(PASSES)},
        "notes": notes,
        "measurements": rows,
        "verdicts": lines,
    }
    print(f"written to {write_results(options.name, 'benchmarks.quality.depths', content, options.device)}")


if __name__ == "__main__":
    main()
