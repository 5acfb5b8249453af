"""Compare denoisers on the test sky, print all that is measured and write it; docs/fidelity.md says how."""

import argparse
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import REPOSITORY, write_results
from benchmarks.quality import injection_tests, measure
from benchmarks.quality.acceptance import judge
from benchmarks.quality.injection_tests import Workload
from benchmarks.quality.measurements import Measurement, Measurements
from benchmarks.quality.methods import (
    PRODUCT,
    BaselineRun,
    Comparison,
    add_baselines,
    add_classical,
    add_model,
    make_images,
)
from benchmarks.quality.sky import SEEDS, Sky, make_sky, sky_settings
from skydenoise.network.device import cuda_usable
from skydenoise.network.folder import ModelDescription

_log = logging.getLogger("benchmarks.quality")

SLOW = 60.0
"""Seconds per Mpixel of three bands."""


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description="Compare denoisers on a simulated sky."
    )
    add = parser.add_argument
    add("--noise", choices=SEEDS, default="decam", help="of the test sky")
    add("--quick", action="store_true", help="nothing is trained, and half as much is injected")
    add("--model", type=Path, help="default: models/reference")
    add("--results", type=Path, help="folder of the run whose patches the learned baselines see, and where "
        "they are kept; default: results/quality_<noise>")  # fmt: skip
    add("--train-seconds", type=float, help="of each learned baseline; default: what the model took")
    add("--bricks", type=int, default=6, help="of the test sky; default 6")
    add("--size", type=int, default=1000, help="edge of a brick, pixels; default 1000")
    add("--cutouts", type=int, default=6, help="of the injection tests; default 6")
    add("--device", default="cuda" if cuda_usable() else "cpu", help="of networks: cpu, cuda")
    add("--name", help="of the file in benchmarks/results; default: quality-<noise>, quick: -quick after it")
    options = parser.parse_args()
    options.model = options.model or REPOSITORY / "models/reference"
    options.results = options.results or REPOSITORY / f"results/quality_{options.noise}"
    options.name = options.name or f"quality-{options.noise}" + "-quick" * options.quick
    return options


def compared(options: argparse.Namespace, sky: Sky) -> Comparison:
    """Everything that is compared; the learned baselines unless it has to be quick."""
    comparison = Comparison()
    add_classical(comparison, sky)
    if options.quick:
        comparison.notes.append("Noise2Void, Noise2Self left out: --quick trains nothing")
    else:
        run = BaselineRun(
            options.noise, options.results, options.model, options.train_seconds, options.device
        )
        add_baselines(comparison, run)
    add_model(comparison, options.model, options.device)
    return comparison


def measure_all(sky: Sky, comparison: Comparison, workload: Workload, slow_cutouts: int) -> Measurements:
    """Every measurement of every method.

    slow_cutouts : how many for methods that take more than SLOW seconds per Mpixel
    """
    bands = sky.noise.bands

    def fresh() -> np.random.Generator:
        return np.random.default_rng(sky.settings.seed)  # the same errors, whatever is measured before

    def take(what: str, measured: Iterator[Measurement]) -> None:
        start = time.perf_counter()
        found.extend(measured)
        _log.info("%s: %.0f s", what, time.perf_counter() - start)

    images, times = make_images(sky, comparison.methods)
    found = Measurements()
    take("pixels", measure.pixels(sky, images))
    catalogues = measure.make_catalogues(sky, images)
    take("fluxes", measure.fluxes(bands, catalogues.apertures, fresh(), catalogues.detected))
    take("scatter", measure.scatter(bands, catalogues, fresh()))
    take("depth", measure.depth(bands, catalogues, fresh()))
    take("stars", measure.stars(sky, images, fresh()))
    for name, product in comparison.products.items():
        take(f"seams, {name}", measure.seams(sky, name, images[name], product.denoiser.settings))
    if PRODUCT in comparison.products:
        denoised = comparison.products[PRODUCT].with_uncertainty([scene.brick for scene in sky.scenes])
        take("coverage", measure.coverage(sky, PRODUCT, denoised))
    slow = {each.method for each in times if each.value > SLOW} - comparison.products.keys()
    trials = injection_tests.make_trials(sky, workload, fresh())
    for name, method in comparison.methods.items():
        some = trials[:slow_cutouts] if name in slow else trials
        if len(some) < len(trials):
            comparison.notes.append(f"{name}: slow, so {len(some)} of {len(trials)} cutouts for injections")
        take(f"injections, {name}", injection_tests.injected_sources(sky, name, method, some, fresh()))
        take(f"pure noise, {name}", injection_tests.pure_noise(sky, name, method, catalogues, some))
    for name, product in comparison.products.items():
        take(f"diffuse light, {name}", injection_tests.diffuse_light(sky, name, product, trials))
        if product.denoiser.settings.recover.enabled:
            take(f"regions in noise, {name}", injection_tests.noise_regions(sky, name, product, trials))
    found += times
    return found


def main() -> None:
    """Measure, print, write."""
    options = arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    workload = Workload(options.cutouts, size=512, rounds=3 if options.quick else 6)
    sky = make_sky(sky_settings(options.noise, options.bricks, options.size))
    comparison = compared(options, sky)
    found = measure_all(sky, comparison, workload, slow_cutouts=0 if options.quick else 1)
    verdicts = {name: judge(found, name) for name in comparison.products}
    print("\n".join(comparison.notes) + "\n")
    print(found.text())
    for name, each in verdicts.items():
        print(f"\nAccepted: {name}", *each, sep="\n")
    content = {
        "noise": options.noise,
        "sky": {"bricks": len(sky.scenes), "size": sky.settings.size, "seed": sky.settings.seed},
        "models": {name: provenance(each.denoiser.description) for name, each in comparison.products.items()},
        "notes": comparison.notes,
        "measurements": found.to_json(),
        "verdicts": {name: [verdict.to_json() for verdict in each] for name, each in verdicts.items()},
    }
    print(f"written to {write_results(options.name, 'benchmarks.quality', content)}")


def provenance(description: ModelDescription) -> dict[str, Any]:
    """What says which model it was."""
    made = description.provenance
    settings = json.loads(str(made.get("settings", "{}")))
    kept = {key: made[key] for key in ("steps", "seconds", "device", "created") if key in made}
    return {"sha256": description.sha256, **kept, "objective": settings.get("objective")}


if __name__ == "__main__":
    main()
