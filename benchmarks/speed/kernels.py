"""Mpixel per second of the numerical rooms, against like functions of scipy and PyWavelets."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import ndimage, signal

from benchmarks.speed.inputs import Inputs
from benchmarks.speed.measure import Run, take_turns, times_slower
from skydenoise import starlet
from skydenoise.config import RecoverSettings
from skydenoise.fill import fill
from skydenoise.noise import measure_noise
from skydenoise.noise.correlation import autocorrelation
from skydenoise.predict.allocator import reuse_freed_memory
from skydenoise.predict.denoise import PIXELS_ON_CPU
from skydenoise.predict.recover import recover
from skydenoise.stretch import Stretch

SCALES = 5


def kernels(inputs: Inputs) -> list[dict[str, Any]]:
    """A row per function; in each group the first is ours."""
    reuse_freed_memory()
    edge = min(inputs.scale.kernel_edge, inputs.scale.edge)
    brick = inputs.brick()
    part = np.s_[:, :edge, :edge]
    brick = replace(brick, image=brick.image[part], invvar=brick.invvar[part], masked=brick.masked[part])
    image, usable = brick.image, brick.usable
    band = np.ascontiguousarray(image[1])
    noise = measure_noise([brick])
    sigma, stretch = noise.sigma(brick.invvar), Stretch(tuple(10 * each for each in noise.sigma_sky))
    network = np.where(np.abs(image) > 5 * sigma, np.float32(0.9) * image, np.float32(0))
    levels = noise.levels
    block = band[:512, :512]
    groups: list[tuple[str, float, dict[str, Run]]] = [
        (
            "recover, 5 scales",
            image.size,
            {"skydenoise": lambda: recover(image, network, sigma, usable, levels, RecoverSettings())},
        ),
        ("starlet, 5 scales, float32", band.size, _starlets(band)),
        ("stretch", image.size, _stretches(stretch, image)),
        ("fill", image.size, {"skydenoise": lambda: fill(image, usable)}),
        ("noise measurement", image.size, {"skydenoise": lambda: measure_noise([brick])}),
        (
            "autocorrelation of 512 x 512, to 8 px",
            block.size,
            {
                "skydenoise": lambda: autocorrelation(block, 8),
                "scipy.signal.correlate, fft": lambda: signal.correlate(block, block, method="fft"),
            },
        ),
    ]
    rows = []
    for name, pixels, candidates in groups:
        timings = take_turns(candidates, inputs.scale.repetitions)
        for what, timing in timings.items():
            rate = {"mpixel_per_s": round(pixels / 1e6 / timing.median, 2), "spread": round(timing.spread, 3)}
            rows.append({"part": name, "what": what, **rate, **times_slower(timing, timings["skydenoise"])})
    return rows


def _stretches(stretch: Stretch, image: np.ndarray) -> dict[str, Run]:
    """Of parts as large as the tiles of a pass, as a brick is stretched."""
    rows = max(1, PIXELS_ON_CPU // image.shape[2])
    parts = torch.from_numpy(image).split(rows, dim=1)
    softening = np.float32(stretch.softening)[:, None, None]
    return {
        "skydenoise": lambda: [stretch.forward(part) for part in parts],
        "torch.asinh": lambda: [(part / torch.from_numpy(softening)).asinh() for part in parts],
        "numpy.arcsinh": lambda: [np.arcsinh(part.numpy() / softening) for part in parts],
    }


def _starlets(band: np.ndarray) -> dict[str, Run]:
    candidates: dict[str, Run] = {
        "skydenoise": lambda: starlet.transform(torch.from_numpy(band), SCALES),
        "scipy.ndimage.correlate1d": lambda: scipy_starlet(band, SCALES),
    }
    if importlib.util.find_spec("pywt"):
        import pywt

        edge = 2**SCALES * (band.shape[0] // 2**SCALES)  # what swt2 can take
        cut = band[:edge, :edge]
        candidates["PyWavelets swt2, haar (orthogonal, 3 planes a scale)"] = lambda: pywt.swt2(
            cut, "haar", SCALES
        )
    return candidates


def scipy_starlet(image: np.ndarray, scales: int) -> np.ndarray:
    """The same transform by scipy: (scales + 1, y, x)."""
    fine, planes = image, []
    for scale in range(scales):
        taps = np.zeros(4 * 2**scale + 1)
        taps[:: 2**scale] = np.array([1, 4, 6, 4, 1]) / 16
        coarse = ndimage.correlate1d(
            ndimage.correlate1d(fine, taps, axis=0, mode="reflect"), taps, mode="reflect"
        )
        planes.append(fine - coarse)
        fine = coarse
    return np.stack([*planes, fine])
