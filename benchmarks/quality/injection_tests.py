"""Measurements for which a method has to run again: injected sources, and pure noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.quality.acceptance import MATCHED_FILTER
from benchmarks.quality.measure import Catalogues
from benchmarks.quality.measurements import Measurement
from benchmarks.quality.sky import Sky
from skydenoise.evaluate.again.injection import (
    Injection,
    InjectionSettings,
    inject,
    join,
    recover_sources,
    survey_ground,
)
from skydenoise.evaluate.again.recovery import leak_table, recovery_table
from skydenoise.evaluate.scene import Image, Method
from skydenoise.evaluate.search.completeness import equal_threshold
from skydenoise.evaluate.search.falsealarm import Detector, FalseDetections, false_detections
from skydenoise.evaluate.search.matched import matched_filter, moffats, smoothing_filter
from skydenoise.evaluate.search.searchfield import Search
from skydenoise.io import Brick
from skydenoise.predict.calibrate import random_cutouts

SOURCES_AT_ONCE = 40
"""In one cutout at most."""
ONE_BAND_EVERY = 3
"""One in so many rounds puts sources into single bands, to see what leaks."""
LEAK_ABOVE, LINEAR_ABOVE, MEAN_ABOVE = 10.0, 5.0, 20.0
"""Signal-to-noise ratio of the injected aperture from which leak, slope and mean ratio are taken."""
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


@dataclass
class Remembering:
    """A method that does not work twice on the same pixels."""

    method: Method
    last: dict[bytes, Image] = field(default_factory=dict)

    def __call__(self, brick: Brick) -> Image:
        """What the method makes of the brick."""
        key = brick.image.tobytes()
        if key not in self.last:
            self.last = {key: self.method(brick)}
        return self.last[key]


def make_trials(sky: Sky, workload: Workload, generator: np.random.Generator) -> list[Trial]:
    """Cutouts spread over the sky, with sources put into them."""
    trials = []
    settings = InjectionSettings(electrons=sky.electrons)
    per_brick = -(-workload.cutouts // len(sky.scenes))
    cutouts = [
        cutout
        for scene in sky.scenes
        for cutout in random_cutouts(scene.brick, per_brick, workload.size, generator)
    ]
    for cutout in cutouts[: workload.cutouts]:
        ground = survey_ground(cutout, sky.noise, sky.fwhm)
        injections = [
            inject(
                ground,
                generator,
                count=SOURCES_AT_ONCE,
                one_band=turn % ONE_BAND_EVERY == ONE_BAND_EVERY - 1,
                settings=settings,
            )
            for turn in range(workload.rounds)
        ]
        trials.append(Trial(cutout, tuple(each for each in injections if each.x.size)))
    return trials


def injected_sources(
    sky: Sky, name: str, method: Method, trials: Sequence[Trial], generator: np.random.Generator
) -> Iterator[Measurement]:
    """Linearity, and leak between bands, of what a method gives back of injected sources."""
    parts = []
    for trial in trials:
        before = method(trial.brick)
        parts += [recover_sources(injection, method, before) for injection in trial.injections]
    if not parts:
        return
    samples, bands = {name: join(parts)}, sky.noise.bands
    for row in recovery_table(samples, bands, generator):
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


def pure_noise(
    sky: Sky, name: str, method: Method, found: Catalogues, trials: Sequence[Trial]
) -> Iterator[Measurement]:
    """False detections of a method in pure noise, the same for all methods.

    Above one score for all, and above scores at which each finds as many true sources as the matched filter
    above its threshold of 90 % purity: a method that shrinks has few false detections above any score, and
    few true ones.
    """
    psf = moffats(sky.fwhm)
    matched = matched_filter(psf, sky.noise)
    point_filter = matched if name == MATCHED_FILTER else smoothing_filter(psf, sky.noise)
    detector = {name: Detector(Remembering(method), point_filter)}
    totals: dict[tuple[str, str], FalseDetections] = {}
    for number, trial in enumerate(trials):
        for bin, thresholds in false_thresholds(name, found).items():
            generator = np.random.default_rng([sky.settings.seed, number])  # the same noise for all
            counted = false_detections(trial.brick, sky.noise, matched, detector, thresholds, generator)
            for (_, search), here in counted.items():
                before = totals.get((search.name, bin), FalseDetections(0, 0.0))
                totals[search.name, bin] = FalseDetections(
                    before.count + here.count, before.arcmin2 + here.arcmin2
                )
    for (band, bin), total in totals.items():
        yield Measurement(name, "false_detections", band, bin, *total.density)


def false_thresholds(name: str, found: Catalogues) -> dict[str, dict[tuple[str, Search], float]]:
    """Scores above which a method's false detections are counted, by bin and search."""
    equal = {}
    for search in found.searches:
        matches, reference = (found.compared[each][search.name] for each in (name, MATCHED_FILTER))
        threshold = equal_threshold(matches, reference)
        if np.isfinite(threshold):
            equal[name, search] = threshold
    fixed = {(name, search): FIXED_SCORE for search in found.searches}
    return {f"score > {FIXED_SCORE:g}": fixed, "equally deep": equal}
