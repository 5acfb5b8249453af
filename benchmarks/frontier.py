"""Error against core-seconds: networks of several shapes, taught for equal times, and other methods.

    python -m benchmarks.frontier results/quality_pupil

takes the patches of the run in that folder. Each candidate learns for as many seconds from models/large
(`benchmarks.quality.distil`); all are measured as products on bricks that no training has seen, beside the
models that are committed and peers as they come: classical ones, the published network, and CAREamics' U-Net,
which learns by Noise2Void. What is not installed is left out (pip install '.[peers]', and
experiments/wang2021/careamics.txt). Writes benchmarks/results/frontier.json and docs/pictures/frontier.png.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot

from benchmarks.machine import REPOSITORY, write_results
from benchmarks.quality import classical, measure
from benchmarks.quality.distil import DistilledTraining, distil
from benchmarks.quality.product import BARE, Product, has_model, load_product
from benchmarks.quality.sky import Sky, make_sky, sky_settings
from experiments.wang2021 import noise2void
from experiments.wang2021.baseline_training import BaselineTraining
from skydenoise.config import Architecture, TrainSettings
from skydenoise.evaluate.images import Image, Method
from skydenoise.evaluate.truth.photometry import combine
from skydenoise.evaluate.truth.photometry import measure as measure_apertures
from skydenoise.evaluate.truth.pixels import SOFTENING
from skydenoise.network import Network
from skydenoise.patches import PatchSet
from skydenoise.predict.denoise import noise_of
from skydenoise.stretch import Stretch

_log = logging.getLogger("benchmarks.frontier")

CANDIDATES = {
    "width 16": Architecture(width=16),
    "width 24": Architecture(width=24),
    "width 32": Architecture(width=32),
    "4x4 pixels folded": Architecture(fold=4, width=64, levels=2, outputs=2),
    "nothing folded": Architecture(fold=1, width=16, levels=4),
    "full convolutions": Architecture(block="full"),
    "full, nothing folded": Architecture(fold=1, block="full", width=16, levels=4),
    "full, nothing folded, width 8": Architecture(fold=1, block="full", width=8, levels=4),
}
PUBLISHED, CAREAMICS = "published network", "CAREamics' U-Net"
CLASSICAL = ("noisy", "Gaussian", "starlet", "BM3D")
PAPER = Architecture(
    layout="paper", fold=1, levels=5, width=8, bottleneck=64, residual_blocks=16, outputs=4, skips=False
)
DEFAULTS = {"depth": 2, "channels": 32}
"""Of CAREamics' U-Net."""
NETWORKS = {PUBLISHED: PAPER, **CANDIDATES}
COMMITTED = ("models/reference", "models/large")
BATCH, EPOCH_STEPS = 16, 20
BRICK_PIXELS = 3600**2
ZONES = {"blank": (-np.inf, 0.3), "dim": (0.3, 2.0), "distinct": (2.0, np.inf)}
"""Of the true sky, by its value over the noise of the pixel."""


class TimedTraining(DistilledTraining):
    """A training whose epochs are short, so that their number sets its length."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.epoch_steps = EPOCH_STEPS
        self.steps = self.job.settings.epochs * EPOCH_STEPS


def step_seconds(architecture: Architecture, edge: int) -> float:
    """Process time of a step of the training: forwards and backwards through the network."""
    network = Network(architecture)
    u = torch.randn(BATCH, architecture.bands, edge, edge)
    taken = []
    for _ in range(4):
        start = time.process_time()
        network(u)[0].square().mean().backward()
        taken.append(time.process_time() - start)
    return float(np.median(taken[1:]))


def teach(run: Path, folder: Path, seconds: float) -> None:
    """Train every network that is not there yet."""
    edge = np.load(run / "patches/image.npy", mmap_mode="r").shape[-1]
    for name, architecture in NETWORKS.items():
        if has_model(folder / name):
            continue
        epochs = max(1, round(seconds / (EPOCH_STEPS * step_seconds(architecture, edge))))
        _log.info("%s: %d steps", name, epochs * EPOCH_STEPS)
        settings = TrainSettings(epochs=epochs, validation=0, ema_decay=0.99)
        teacher = REPOSITORY / "models/large"
        distil(run, teacher, folder / name, architecture, settings, TimedTraining)


def careamics(run: Path, folder: Path, sky: Sky, seconds: float) -> Method:
    """CAREamics' default U-Net, taught if `folder` does not keep it; ImportError if it is not installed."""
    patches = PatchSet.open(run / "patches")
    training = BaselineTraining(patches, sky.noise, Stretch(SOFTENING), seconds, seed=1, batch=BATCH)
    if not (folder / noise2void.CHECKPOINT).exists():
        folder.mkdir(parents=True, exist_ok=True)
        _log.info("CAREamics: %d steps", noise2void.train(training, folder, **DEFAULTS))
    return noise2void.load(training, folder)


def methods(run: Path, folder: Path, sky: Sky, seconds: float) -> dict[str, Method]:
    """All that is compared."""
    found: dict[str, Method] = {}
    for name, variants in classical.candidates(sky).items():
        if name in CLASSICAL:
            _, found[name] = classical.best_of(variants, sky)
    try:
        found[CAREAMICS] = careamics(run, folder / CAREAMICS, sky, seconds)
    except ImportError as error:
        _log.warning("left out: %s", error)
    for name in (*NETWORKS, *COMMITTED):
        own = load_product((REPOSITORY if name in COMMITTED else folder) / name)
        found[name] = own.with_settings(**BARE) if name == PUBLISHED else own
    return found


def rows(sky: Sky, compared: dict[str, Method]) -> Iterator[dict[str, Any]]:
    """Core-seconds of a brick of 3600 x 3600 pixels, errors by zone, and faint flux bias, of every method."""
    for name, method in compared.items():
        start = time.process_time()
        images = [method(scene.brick) for scene in sky.scenes]
        taken = brick_seconds(sky, method, time.process_time() - start)
        found = [
            measure_apertures(scene, {"noisy": scene.brick.image, name: image}, sky.noise)
            for scene, image in zip(sky.scenes, images, strict=True)
        ]
        biases = [
            each
            for each in measure.fluxes(sky.noise.bands, combine(found), np.random.default_rng(1))
            if (each.method, each.measure, each.bin) == (name, "flux_bias", "5-10")
        ]
        yield {
            "method": name,
            "core_seconds": round(taken, 2),
            **{zone: round(value, 4) for zone, value in zone_errors(sky, images).items()},
            "faint_bias": [round(each.value, 3) for each in biases],
            "faint_bias_error": [round(each.error, 3) for each in biases],
        }
        _log.info("%s", name)


def brick_seconds(sky: Sky, method: Method, seconds: float) -> float:
    """Core-seconds of a brick of BRICK_PIXELS, by those of the sky; noise is measured on as many pixels."""
    fixed = 0.0
    if isinstance(method, Product):
        start = time.process_time()
        for scene in sky.scenes:
            noise_of(scene.brick, method.denoiser)
        fixed = time.process_time() - start
    return (seconds - fixed) / sky.pixels * BRICK_PIXELS + fixed / len(sky.scenes)


def zone_errors(sky: Sky, images: list[Image]) -> dict[str, float]:
    """Rms of the error of 3 asinh(x / 3 sigma) by zone of the truth, mean of the bands."""
    errors: dict[str, list[float]] = {zone: [] for zone in ZONES}
    for band in range(len(sky.noise.bands)):
        signal, error = [], []
        for scene, image in zip(sky.scenes, images, strict=True):
            here = scene.measured[band]
            sigma = sky.noise.sigma(scene.brick.invvar)[band][here]
            true, found = (3 * np.arcsinh(each[band][here] / (3 * sigma)) for each in (scene.truth, image))
            signal.append(scene.truth[band][here] / sigma)
            error.append(found - true)
        s, e = np.concatenate(signal), np.concatenate(error)
        for zone, (low, high) in ZONES.items():
            errors[zone].append(float(np.sqrt(np.mean(e[(s > low) & (s <= high)] ** 2))))
    return {zone: float(np.mean(each)) for zone, each in errors.items()}


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Error of each zone against core-seconds."""
    figure, axes = pyplot.subplots(1, len(ZONES), figsize=(13, 4.2), layout="constrained")
    for number, row in enumerate(row for row in found if row["core_seconds"] > 0):
        name = row["method"]
        marker = "*" if name in COMMITTED else "o" if name in CANDIDATES else "s"
        for axis, zone in zip(axes, ZONES, strict=True):
            axis.plot(
                row["core_seconds"], row[zone], marker, color=pyplot.cm.tab20(number % 20), ms=9, label=name
            )
    for axis, zone in zip(axes, ZONES, strict=True):
        axis.set(title=zone, xlabel="core-seconds of a brick", xscale="log", yscale="log")
    axes[0].set_ylabel("rms error of 3 asinh(x / 3 sigma)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description="Error against core-seconds of networks of several shapes.")
    parser.add_argument("run", type=Path, help="folder of a run that has patches")
    parser.add_argument("--seconds", type=float, default=300, help="process time of each training")
    parser.add_argument("--models", type=Path, default=REPOSITORY / "results/frontier", help="kept here")
    parser.add_argument("--bricks", type=int, default=2)
    parser.add_argument("--size", type=int, default=800)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    teach(arguments.run, arguments.models, arguments.seconds)
    sky = make_sky(sky_settings("decam", arguments.bricks, arguments.size))
    found = list(rows(sky, methods(arguments.run, arguments.models, sky, arguments.seconds)))
    for row in found:
        print(row)
    shapes = {name: asdict(architecture) for name, architecture in NETWORKS.items()}
    content = {"seconds": arguments.seconds, "candidates": shapes, "rows": found}
    print(f"written to {write_results('frontier', 'benchmarks.frontier', content)}")
    draw(found, REPOSITORY / "docs/pictures/frontier.png")


if __name__ == "__main__":
    main()
