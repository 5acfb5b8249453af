"""Measurements for which a method has to run again: injected sources and diffuse light, and pure noise."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.quality.acceptance import MATCHED_FILTER
from benchmarks.quality.measure import Catalogues
from benchmarks.quality.measurements import Measurement
from benchmarks.quality.product import Product
from benchmarks.quality.sky import Sky
from skydenoise.config import RecoverSettings
from skydenoise.evaluate.detection.detect import Peaks, find_peaks, searched_pixels, searches
from skydenoise.evaluate.detection.matched import (
    PointFilter,
    combined,
    flux_errors,
    matched_filter,
    moffats,
    point_flux,
    smoothing_filter,
)
from skydenoise.evaluate.detection.matches import Matches
from skydenoise.evaluate.detection.tables import threshold_at_purity
from skydenoise.evaluate.images import Method, noise_brick, pixel_scale
from skydenoise.evaluate.injection.inject import Injection, inject, make_canvas, measure_injected
from skydenoise.evaluate.injection.tables import injection_table, leak_table
from skydenoise.evaluate.statistics import Array, Blocks, jackknife, joined
from skydenoise.io import Brick
from skydenoise.noise import NoiseModel
from skydenoise.predict.calibrate import random_cutouts

SOURCES_AT_ONCE = 40
"""In one cutout at most."""
ONE_BAND_EVERY = 3
"""One in so many rounds puts sources into single bands, to see what leaks."""
LEAK_ABOVE, LINEAR_ABOVE, MEAN_ABOVE = 10.0, 5.0, 20.0
"""Signal-to-noise ratio of the injected aperture from which leak, slope and mean ratio are taken."""
DIFFUSE_SKY = 0.5
"""Denoised value, in units of the sky noise, below which a pixel tells what became of diffuse light."""
FIXED_SCORE = 4.0
"""Score above which false detections are counted, beside the one at which methods are equally deep."""


@dataclass(frozen=True)
class Workload:
    """How much is run again.

    cutouts : parts of the test sky
    size : their edge, pixels
    rounds : injections into each
    """

    cutouts: int
    size: int
    rounds: int


@dataclass(frozen=True, eq=False)
class Trial:
    """A cutout and the injections into it, the same for all methods."""

    brick: Brick
    injections: tuple[Injection, ...]


def make_trials(sky: Sky, workload: Workload, generator: np.random.Generator) -> list[Trial]:
    """Cutouts spread over the sky, with sources put into them."""
    trials = []
    per_brick = -(-workload.cutouts // len(sky.scenes))
    cutouts = [
        cutout
        for scene in sky.scenes
        for cutout in random_cutouts(scene.brick, per_brick, workload.size, generator)
    ]
    for cutout in cutouts[: workload.cutouts]:
        canvas = make_canvas(cutout, sky.noise, sky.fwhm)
        injections = [
            inject(
                canvas,
                generator,
                count=SOURCES_AT_ONCE,
                one_band=single_band(turn, len(trials), len(sky.noise.bands)),
            )
            for turn in range(workload.rounds)
        ]
        injections = [with_photon_noise(each, cutout, sky, generator) for each in injections]
        trials.append(Trial(cutout, tuple(each for each in injections if each.sources.x.size)))
    return trials


def with_photon_noise(
    injection: Injection, without: Brick, sky: Sky, generator: np.random.Generator
) -> Injection:
    """The injection with the Poisson noise of its sources, which invvar tells."""
    brick, noise = injection.brick, sky.noise
    electrons, scale = np.float32([sky.electrons, noise.scale])[..., None, None]
    variance = np.maximum(brick.image - without.image, 0) / electrons
    drawn = scale * np.sqrt(variance) * noise.draw(variance.shape, generator)
    invvar = (brick.invvar / (1 + variance * brick.invvar)).astype(np.float32)
    return replace(injection, brick=replace(brick, image=brick.image + drawn, invvar=invvar))


def single_band(turn: int, cutout: int, bands: int) -> int | None:
    """Number of the band into which alone the sources of a round go, if they do."""
    done, rest = divmod(turn, ONE_BAND_EVERY)
    return (done + cutout) % bands if rest == ONE_BAND_EVERY - 1 else None


def injected_sources(
    sky: Sky, name: str, method: Method, trials: Sequence[Trial], generator: np.random.Generator
) -> Iterator[Measurement]:
    """Linearity, and leak between bands, of what a method gives back of injected sources."""
    parts = []
    for trial in trials:
        before = method(trial.brick)
        parts += [measure_injected(injection, method, before) for injection in trial.injections]
    if not parts:
        return
    samples, bands = {name: joined(parts)}, sky.noise.bands
    for row in injection_table(samples, bands, generator):
        if row["shape"] != "all" or row["binned_by"] != "snr_above":
            continue
        band = str(row["band"])
        if row["low"] == LINEAR_ABOVE:
            yield Measurement(name, "linearity", band, "slope", float(row["slope"]), float(row["slope_err"]))
        if row["low"] == MEAN_ABOVE:
            ratio, error = 1 + row["bias_percent"] / 100, row["bias_percent_err"] / 100
            yield Measurement(name, "linearity", band, "mean", float(ratio), float(error))
    for row in leak_table(samples, bands, generator):
        if (row["binned_by"], row["low"]) == ("snr_above", LEAK_ABOVE):
            pair = f"{row['band']} to {row['other']}"
            yield Measurement(
                name, "leak", pair, "", float(row["leak_percent"]), float(row["leak_percent_err"])
            )


def diffuse_light(sky: Sky, name: str, method: Method, trials: Sequence[Trial]) -> Iterator[Measurement]:
    """What a method adds to levels, a gradient and a cloud of light, in units of the sky noise.

    The difference that the light makes in the image is fitted by the light itself, in the sky of each band.
    """
    sums: dict[tuple[str, str], list[Array]] = {}
    peaks = {}
    for trial in trials:
        brick, sigma = trial.brick, np.array(sky.noise.sigma_sky, np.float32)[:, None, None]
        before = method(brick)
        for what, light in diffuse_patterns(*brick.shape).items():
            peaks[what] = max(np.ptp(light), np.abs(light).max())
            shone = replace(brick, image=np.where(brick.invvar > 0, brick.image + sigma * light, brick.image))
            change = (method(shone) - before) / sigma - light
            seen = brick.usable & (before < DIFFUSE_SKY * sigma)
            for band, where, wrong in zip(brick.bands, seen, change, strict=True):
                parts = Blocks(brick.shape).sums(where, wrong * light, light**2)
                sums.setdefault((what, band), []).append(parts)
    for (what, band), parts in sums.items():
        peak = float(peaks[what])
        value, error = jackknife(lambda total, peak=peak: peak * total[1] / total[2], np.hstack(parts))
        yield Measurement(name, "diffuse_light", band, what, value, error)


def diffuse_patterns(height: int, width: int) -> dict[str, NDArray[np.float32]]:
    """Light by name, (y, x), in units of the sky noise."""
    y, x = np.indices((height, width), dtype=np.float32)
    distance = np.hypot(y - height / 2, x - width / 2)
    return {
        "level -1": np.full_like(x, -1),
        "level 1": np.full_like(x, 1),
        "gradient of 0.3": 0.3 * (x / (width - 1) - np.float32(0.5)),
        "cloud of 0.2": np.float32(0.2) * np.exp2(-((distance / 100) ** 2)),  # FWHM of 200 px
    }


def noise_regions(sky: Sky, name: str, product: Product, trials: Sequence[Trial]) -> Iterator[Measurement]:
    """Regions per Mpixel that `recover` puts back into pure noise, brighter and darker ones."""
    counts: Counter[tuple[str, str]] = Counter()
    bare = product.with_settings(recover=RecoverSettings(enabled=False))
    for number, trial in enumerate(trials):
        drawn = noise_brick(trial.brick, sky.noise, np.random.default_rng([sky.settings.seed, number]))
        added = product(drawn) - bare(drawn)
        for band, plane in zip(drawn.bands, added, strict=True):
            for sign, where in (("positive", plane > 0), ("negative", plane < 0)):
                counts[band, sign] += ndimage.label(where)[1]
    area = sum(trial.brick.shape[0] * trial.brick.shape[1] for trial in trials) / 1e6
    for (band, sign), count in counts.items():
        yield Measurement(name, "noise_regions", band, sign, count / area, max(1, count) ** 0.5 / area)


def search_noise(
    drawn: Brick, method: Method, point_filter: PointFilter, matched: PointFilter, noise: NoiseModel
) -> tuple[dict[str, Peaks], float]:
    """What a method shows in a brick of pure noise (`noise_brick`), searched as `detect` does.

    point_filter : with which the method's image is searched
    matched : the matched filter, whose error in the input is the unit of all scores

    Returns peaks by the search's name, and the area searched, arcmin^2.
    """
    errors = flux_errors(noise.sigma(drawn.invvar), drawn.usable, matched)
    searched = searched_pixels(errors, matched)
    score = point_flux(method(drawn), drawn.usable, point_filter) / errors
    together = searches(drawn.bands).items()
    peaks = {name: find_peaks(combined(score[bands]), searched) for name, bands in together}
    return peaks, float(np.count_nonzero(searched)) * pixel_scale(drawn.headers[0]) ** 2 / 3600


def equal_threshold(matches: Matches, reference: Matches) -> float:
    """Score above which a method finds as many sources as the reference above its own 90 % purity.

    At these thresholds methods are equally deep: what they detect in pure noise can be compared, although a
    denoised flux is shrunk and so means less of a score. NaN if the reference has no such threshold; -inf if
    the method never finds so many.
    """
    count = int(np.sum(reference.found >= threshold_at_purity(reference)))
    return float(np.sort(matches.found)[::-1][count - 1]) if count else float("nan")


def pure_noise(
    sky: Sky, name: str, method: Method, found: Catalogues, trials: Sequence[Trial]
) -> Iterator[Measurement]:
    """False detections of a method in pure noise, the same for all methods, by search.

    Above one score for all, and above scores at which each finds as many true sources as the matched filter
    above its threshold of 90 % purity: a method that shrinks has few false detections above any score, and
    few true ones.
    """
    psf = moffats(sky.fwhm)
    matched = matched_filter(psf, sky.noise)
    point_filter = matched if name == MATCHED_FILTER else smoothing_filter(psf, sky.noise)
    thresholds = {}
    for search in searches(sky.noise.bands):
        deep = equal_threshold(found.compared[name, search], found.compared[MATCHED_FILTER, search])
        thresholds |= {(search, f"score > {FIXED_SCORE:g}"): FIXED_SCORE, (search, "equally deep"): deep}
    counts: Counter[tuple[str, str]] = Counter()
    area = 0.0
    for number, trial in enumerate(trials):
        generator = np.random.default_rng([sky.settings.seed, number])  # the same noise for all
        drawn = noise_brick(trial.brick, sky.noise, generator)
        peaks, arcmin2 = search_noise(drawn, method, point_filter, matched, sky.noise)
        area += arcmin2
        for (search, bin), threshold in thresholds.items():
            counts[search, bin] += int(np.sum(peaks[search].score >= threshold))
    for (search, bin), count in counts.items():
        error = np.sqrt(max(1, count)) / area  # that of one detection where there is none
        if np.isfinite(thresholds[search, bin]):
            yield Measurement(name, "false_detections", search, bin, count / area, float(error))
