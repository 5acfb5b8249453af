"""What fewer bits in the network's convolutions change: pixels, fluxes, errors.

    python -m benchmarks.quality.precision [--noise bass] [--bricks N] [--size PIXELS]
    python -m benchmarks.quality.precision --precision float16
    python -m benchmarks.quality.precision --device cuda [--precision float32]

denoises the test sky in float32 on the CPU, and with fewer bits there or on a GPU, holds one against the
other and both against the truth, and writes benchmarks/results/precision-<noise>[-<precision>[-cuda]].json.
float16 is what a GPU's fused kernels compute, emulated on a CPU. It needs no CPU that multiplies bfloat16;
times are `benchmarks.speed`'s.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import write_results
from benchmarks.quality.measure import pixel_figures
from benchmarks.quality.methods import REPOSITORY
from benchmarks.quality.ours import Restorer, product_settings
from benchmarks.quality.report import as_text
from benchmarks.quality.sky import Sky, make_sky, sky_settings
from skydenoise.evaluate.apertures import combine, measure
from skydenoise.evaluate.scene import Image
from skydenoise.network import load_model
from skydenoise.predict import Denoiser, load_denoiser

PRECISIONS = ("float32", "reduced")
"""Names of the two images: of the CPU in float32, and of what is held against it."""

SNR_BINS = ((20.0, np.inf), (10.0, 20.0), (5.0, 10.0))
"""Of true aperture fluxes."""

Row = dict[str, Any]


def restored(
    sky: Sky, model: Path, precision: str = "bfloat16", device: str = "cpu"
) -> dict[str, list[Image]]:
    """Images (band, y, x) of all scenes, as the product makes them: in float32 on the CPU, and in `precision`
    on `device`.
    """
    denoisers = denoiser_of(model, "float32", "cpu"), denoiser_of(model, precision, device)
    methods = dict(zip(PRECISIONS, map(Restorer, denoisers), strict=True))
    return {name: [method(scene.brick) for scene in sky.scenes] for name, method in methods.items()}


def denoiser_of(model: Path, precision: str, device: str) -> Denoiser:
    """With the settings of its uncertainty; `precision` as `predict.precision`, or float16 (see above)."""
    automatic = "auto" if device == "cuda" else "float32"
    settings = replace(product_settings(model), precision=automatic if precision == "float16" else precision)
    denoiser = load_denoiser(model, settings, device)
    if precision == "float16" and device == "cpu":
        from benchmarks.quality.emulated import EmulatedNetwork  # needs Triton

        return replace(denoiser, network=EmulatedNetwork(load_model(model)[0]), precision=precision)
    if denoiser.precision != precision:
        raise SystemExit(f"precision: this GPU computes in {denoiser.precision}, not in {precision}")
    return denoiser


def pixel_rows(sky: Sky, images: dict[str, list[Image]]) -> Iterator[Row]:
    """Differences of pixels in units of the noise of the input, by band; only where there is data."""
    for number, band in enumerate(sky.noise.bands):
        parts = []
        for scene, plain, reduced in zip(sky.scenes, *(images[each] for each in PRECISIONS), strict=True):
            good = scene.brick.usable[number]
            noise = sky.noise.sigma(scene.brick.invvar)[number]
            parts.append(((reduced[number] - plain[number])[good] / noise[good]).astype(np.float64))
        difference = np.concatenate(parts)
        yield from (
            row("pixels: rms difference", band, "sigma", np.sqrt(np.mean(difference**2))),
            row("pixels: mean difference", band, "sigma", np.mean(difference)),
            row("pixels: largest difference", band, "sigma", np.abs(difference).max()),
        )


def flux_rows(sky: Sky, images: dict[str, list[Image]]) -> Iterator[Row]:
    """Change of aperture magnitudes of isolated sources, by band and true signal-to-noise ratio."""
    scenes = [
        measure(scene, {name: images[name][number] for name in PRECISIONS}, sky.noise)
        for number, scene in enumerate(sky.scenes)
    ]
    found = combine(scenes)
    plain, reduced = (found.fluxes[name] for name in PRECISIONS)
    snr = np.divide(found.truth, found.noise, out=np.zeros_like(found.truth), where=found.noise > 0)
    for number, band in enumerate(sky.noise.bands):
        for low, high in SNR_BINS:
            chosen = found.good[number] & (snr[number] >= low) & (snr[number] < high)
            chosen &= (plain[number] > 0) & (reduced[number] > 0)
            change = -2.5 * np.log10(reduced[number][chosen] / plain[number][chosen])
            where = f"{band}, S/N {low:g}-{high:g}"
            error = float(np.std(change, ddof=1) / np.sqrt(change.size))
            yield row("fluxes: mean change", where, "mag", np.mean(change), error)
            yield row("fluxes: largest change", where, "mag", np.abs(change).max())


def truth_rows(sky: Sky, images: dict[str, list[Image]]) -> Iterator[Row]:
    """Errors against the truth and the background in both."""
    for figure in pixel_figures(sky, images):
        yield row(f"{figure.measure}, {figure.method}", figure.band, "", figure.value, figure.error)


def row(what: str, where: str, unit: str, value: float, error: float = np.nan) -> Row:
    """A line of the table; `error` NaN is for what has none."""
    found: Row = {"what": what, "where": where, "unit": unit, "value": float(f"{value:.3g}")}
    return found | ({"error": float(f"{error:.2g}")} if np.isfinite(error) else {})


def main(say: Callable[[str], None] = print) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="What fewer bits change in a denoised sky.")
    parser.add_argument("--noise", choices=("decam", "bass"), default="decam", help="of the test sky")
    parser.add_argument("--bricks", type=int, default=2, help="of the test sky")
    parser.add_argument("--size", type=int, default=800, help="edge of a brick, pixels")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of what is held against it")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16", "float16"), help="of what is held against it"
    )
    options = parser.parse_args()
    precision = options.precision or ("bfloat16" if options.device == "cpu" else "float16")
    if (precision, options.device) == ("float32", "cpu"):
        parser.error("float32 on the CPU is what all others are held against")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    settings = sky_settings(options.noise, options.bricks, options.size)
    sky = make_sky(settings, REPOSITORY / "results/quality_cache")
    images = restored(sky, REPOSITORY / f"models/{options.noise}", precision, options.device)
    rows = [*pixel_rows(sky, images), *flux_rows(sky, images), *truth_rows(sky, images)]
    cells = [[each["what"], each["where"], f"{each['value']:g}", each["unit"]] for each in rows]
    say(as_text([[f"{precision} on {options.device}", "where", "value", "unit"], *cells]))
    command = " ".join(["python -m benchmarks.quality.precision", *sys.argv[1:]])
    name = f"precision-{options.noise}"
    if (precision, options.device) != ("bfloat16", "cpu"):
        name += f"-{precision}" + "-cuda" * (options.device == "cuda")
    say(f"written to {write_results(name, command, rows)}")


if __name__ == "__main__":
    main()
