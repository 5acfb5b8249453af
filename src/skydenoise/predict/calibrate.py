"""Measure the uncertainty of a denoiser, without any truth, on cutouts of the training bricks.

Parametric bootstrap (Efron & Tibshirani 1993, chapter 6.5). An image T that stands for the sky gets noise of
the measured strength and correlation, the whole chain (fill, network, recover, fluxes) denoises it, and the
errors of that result are known: result - T. Their half-widths, by local signal, are the ratios of
`uncertainty`.

T is made from the denoised cutout D (`stand_in`). D itself is no good where it is faint: sources are shrunk
there, and between them are ripples, which are more the network's than the sky's.

T is smoother than the sky, so its errors are too small where sources are bright and sharp. There the real
image itself tells, by `stein.squared_error`. Where this is significantly more than the bootstrap says, sigma
is raised to it. It also holds noise that invvar leaves out, such as the photon noise of bright sources.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skydenoise.config import PredictSettings
from skydenoise.errors import BrickError, StepError
from skydenoise.io import Brick, read_brick, readable
from skydenoise.io.atomic import write_json
from skydenoise.noise import NoiseModel
from skydenoise.predict.denoise import estimate_sky, noise_of, with_bands
from skydenoise.predict.denoiser import UNCERTAINTY_FILE, Denoiser, load_denoiser
from skydenoise.predict.stein import squared_error
from skydenoise.predict.uncertainty import Curve, Sample, UncertaintyModel, fit_curves, local_signal

Array = NDArray[Any]

logger = logging.getLogger(__name__)

CUTOUTS = 8
"""Over all bricks."""

CUTOUT_SIZE = 384
"""Pixels along an edge."""

PROBE = 0.5
"""Strength of the second draw of noise in Stein's estimate, in units of the noise that is there already.
It is asked about bright sources alone, where `recover` decides by thresholds: a weaker probe is too noisy."""

RIPPLES, SOURCES = 0.05, 0.2
"""Local signals, in units of the noise, at which half of an image counts as light, and as a source."""
SHRUNK = 0.7
"""Of what a second denoising takes from faint sources, put back: one step of twicing would be all of it, and
makes errors at a local signal of 0.1 to 5 too large by 15 to 30 %; none makes them too small by 10 to 15."""

POSITIONS_TRIED = 20
"""Random positions of a cutout; the one with most usable pixels is taken."""


def calibrate_model(
    folder: Path,
    names: Sequence[str],
    cache: Path,
    settings: PredictSettings,
    seed: int,
    device: str = "auto",
) -> UncertaintyModel:
    """Measure the uncertainty of the model in `folder` and write it there, as uncertainty.json.

    names : bricks to measure on, best those of the training; at most CUTOUTS of them are read, spread over
        the list
    cache : folder of the raw bricks
    settings : those of the prediction that the uncertainty is for

    Raises
    ------
    StepError : no brick can be used
    """
    (folder / UNCERTAINTY_FILE).unlink(missing_ok=True)
    denoiser = load_denoiser(folder, settings, device)
    some = [names[i * len(names) // CUTOUTS] for i in range(CUTOUTS)] if len(names) > CUTOUTS else names
    per_brick = -(-CUTOUTS // max(len(some), 1))
    read = partial(read_brick, cache, bands=denoiser.description.bands)
    bricks = readable(some, read, step="calibration")
    model = calibrate(bricks, denoiser, np.random.default_rng(seed), per_brick=per_brick)
    write_json(folder / UNCERTAINTY_FILE, model.to_json())
    return model


def calibrate(
    bricks: Iterable[Brick],
    denoiser: Denoiser,
    generator: np.random.Generator,
    *,
    per_brick: int = 2,
    size: int = CUTOUT_SIZE,
) -> UncertaintyModel:
    """Measure the uncertainty of `denoiser` on `per_brick` random cutouts, `size` x `size`, of each brick.

    A band that no brick has gets the noise of the input for its uncertainty, and the log says so.

    Raises
    ------
    StepError : no brick can be used
    """
    plain, bands = replace(denoiser, uncertainty=None), denoiser.description.bands
    joint = denoiser.settings.bands == "joint" and len(bands) > 1
    samples, single_samples = [], []
    for brick in bricks:
        try:
            noise = noise_of(brick, plain)
            for cutout in random_cutouts(brick, per_brick, size, generator):
                samples.append(measure(cutout, noise, plain, generator))
                if joint:
                    single_samples.append(measure(cutout, noise, with_bands(plain, "separate"), generator))
        except BrickError as error:
            logger.warning("left out of calibration: %s", error)
    if not samples:
        raise StepError("calibration: no training brick can be used; the log says why")
    network, recovered = curves_of(bands, samples)
    single = curves_of(bands, single_samples)[0] if joint else network
    for band, *curves in zip(bands, network, single, strict=True):
        ratios = [curve.ratio[0] for curve in curves]
        logger.info("band %s: sigma is %.3f of the noise in empty sky, %.3f if alone", band, *ratios)
    return UncertaintyModel(bands, network, recovered, single, denoiser.conditions)


def random_cutouts(brick: Brick, count: int, size: int, generator: np.random.Generator) -> Iterator[Brick]:
    """`count` well covered cutouts at random positions: `size` pixels along an edge, or all there are.

    Raises
    ------
    BrickError : the brick has no usable pixel
    """
    if not brick.usable.any():
        raise BrickError("not one usable pixel (invvar > 0, not masked) in any band", brick=brick.name)
    there = brick.usable.any(axis=(1, 2))
    places = np.flatnonzero(brick.usable.any(axis=0))
    size_y, size_x = cut = [min(size, edge) for edge in brick.shape]
    for _ in range(count):
        tried = []
        for _ in range(POSITIONS_TRIED):
            inside = divmod(int(generator.choice(places)), brick.shape[1])  # a usable pixel
            first = [pixel - int(generator.integers(edge)) for pixel, edge in zip(inside, cut, strict=True)]
            y, x = (int(np.clip(f, 0, edge - e)) for f, edge, e in zip(first, brick.shape, cut, strict=True))
            part = np.s_[:, y : y + size_y, x : x + size_x]
            share = brick.usable[part][there].mean(axis=(1, 2))
            tried.append(((share.min(), share.mean()), part))
        _, part = max(tried, key=lambda position: position[0])
        yield replace(brick, image=brick.image[part], invvar=brick.invvar[part], masked=brick.masked[part])


def measure(
    cutout: Brick, noise: NoiseModel, denoiser: Denoiser, generator: np.random.Generator
) -> list[Sample]:
    """Samples of the usable pixels of a cutout, one per band, from four passes through the chain.

    noise : of the brick; its background level is taken off first, so that signals are counted from there
    """
    flat, noise = replace(cutout, image=cutout.image - noise.zero), replace(noise, level=())
    noise_sigma = noise.sigma(cutout.invvar)

    def again(image: Array) -> tuple[Array, Array]:
        covered = replace(cutout, image=np.where(cutout.invvar > 0, image, np.float32(0)))
        return estimate_sky(covered, noise, denoiser)

    def noisy(image: Array, strength: float = 1) -> tuple[Array, Array, Array]:
        drawn = noise.draw(cutout.image.shape, generator)
        return drawn, *again(image + strength * drawn * noise_sigma)

    first, _ = again(flat.image)
    _, second, _ = noisy(first)
    known = np.stack([stand_in(*bands) for bands in zip(first, second, noise_sigma, strict=True)])
    _, result, recovered = noisy(known)
    probe, third, _ = noisy(flat.image, PROBE)
    samples = []
    for band, usable in enumerate(cutout.usable):
        error, residual, change = (
            difference[band][usable] / noise_sigma[band][usable]
            for difference in (result - known, flat.image - first, third - first)
        )
        signal, data_signal = (signal_of(image[band], noise_sigma[band])[usable] for image in (result, first))
        risk = squared_error(residual, probe[band][usable], change, PROBE)
        samples.append(Sample(signal, error, recovered[band][usable], data_signal, risk))
    return samples


def signal_of(denoised: Array, noise_sigma: Array) -> Array:
    """`local_signal` of one band, (y, x)."""
    return local_signal(torch.from_numpy(denoised), torch.from_numpy(noise_sigma)).numpy()


def stand_in(denoised: Array, again: Array, noise_sigma: Array) -> Array:
    """An image whose denoised version has the errors that `denoised` has; one band, (y, x), nanomaggies.

    again : `denoised` with noise, denoised again
    """
    square = signal_of(denoised, noise_sigma) ** 2
    light, source = square / (square + RIPPLES**2), square / (square + SOURCES**2) / (1 + square)
    return light * denoised + SHRUNK * source * (denoised - again)


def curves_of(
    bands: Sequence[str], samples: Sequence[Sequence[Sample]]
) -> tuple[tuple[Curve, ...], tuple[Curve, ...]]:
    """Curves of each band: of pixels that are the network's alone, and of recovered ones.

    samples : of each cutout, one per band
    """
    curves = [band_curves(band, [sample[index] for sample in samples]) for index, band in enumerate(bands)]
    network, recovered = zip(*curves, strict=True)
    return network, recovered


def band_curves(band: str, samples: Sequence[Sample]) -> tuple[Curve, Curve]:
    """`fit_curves` over all cutouts of one band; the noise of the input if there is no pixel."""
    if sum(sample.signal.size for sample in samples) == 0:
        logger.warning("no training brick has band %s: its sigma is the noise of the input", band)
        return Curve((0.0,), (1.0,)), Curve((0.0,), (1.0,))
    return fit_curves(samples)
