"""What was promised, and whether it holds: computed from the measurements, nothing typed in."""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.quality.measurements import Measurement, Measurements

CLASSICAL = ("starlet", "BM3D", "NLM", "Gaussian")
LEARNED = ("Noise2Void", "Noise2Self")
MATCHED_FILTER = "noisy"
"""Detection in the noisy image is by the matched filter itself."""
CLEAR = 2.0
"""Standard errors between a number and its limit from which on there is no doubt."""


@dataclass(frozen=True)
class Case:
    """One number held against its limits.

    where : band and bin, in words
    got, error : the number
    low, high : limits, both allowed themselves; minus or plus infinity for none
    """

    where: str
    got: float
    error: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the number lies within the limits."""
        return self.low <= self.got <= self.high

    @property
    def margin(self) -> float:
        """Distance to the nearest limit, positive inside."""
        return min(self.got - self.low, self.high - self.got)

    @property
    def clear(self) -> bool:
        """Whether it is known: the limit is at least CLEAR errors away."""
        return math.isfinite(self.error) and abs(self.margin) >= CLEAR * self.error

    @property
    def badness(self) -> float:
        """What cases of one criterion are ordered by: how far outside, over the room between the limits."""
        room = self.high - self.low
        scale = room / 2 if math.isfinite(room) else abs(self.high if math.isfinite(self.high) else self.low)
        return -self.margin / (scale or 1.0)


Cases = Callable[[Measurements, str], list[Case]]
"""Picks the numbers of a method, and their limits."""


@dataclass(frozen=True)
class Criterion:
    """A measure and what was promised of it, in words and as `cases`."""

    measure: str
    wanted: str
    cases: Cases


@dataclass(frozen=True)
class Verdict:
    """A criterion and what became of it.

    where, got, error : the worst case, beyond doubt if there is one; empty and NaN if nothing was measured
    holds : "yes", "no" or "not measured"; with "in doubt" if the limit is nearer than CLEAR errors
    cases, failed : how many numbers were held against their limits, and how many lie outside
    """

    measure: str
    wanted: str
    where: str = ""
    got: float = math.nan
    error: float = math.nan
    holds: str = "not measured"
    cases: int = 0
    failed: int = 0

    def __str__(self) -> str:
        got = f"{self.got:.3g} ± {self.error:.1g} ({self.where})" if self.cases else ""
        outside = f"{self.failed} of {self.cases} outside" if self.cases else ""
        return f"{self.measure:52} {self.wanted:16} {got:38} {outside:16} {self.holds}"

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not finite is left out."""
        return {
            key: value
            for key, value in asdict(self).items()
            if not (isinstance(value, float) and not math.isfinite(value))
        }


def within(measure: str, low: float, high: float, bin: str = "") -> Cases:
    """Cases of every band and bin of a measure, or of bins whose names begin so, between two limits."""

    def cases(found: Measurements, method: str) -> list[Case]:
        chosen = [each for each in found.pick(method, measure) if each.bin.startswith(bin)]
        return [Case(_where(each), each.value, each.error, low, high) for each in chosen]

    return cases


def below_peers(peers: Iterable[str], factor: float, *, best: bool) -> Cases:
    """Cases of the rms error over that of peers, by band and bin: of the best of them, or of each."""

    def cases(found: Measurements, method: str) -> list[Case]:
        ratios = []
        for ours in found.pick(method, "error"):
            others = [peer for name in peers for peer in found.pick(name, "error", ours.band, ours.bin)]
            if best and others:
                others = [min(others, key=lambda peer: peer.value)]
            for peer in others:
                ratio = ours.value / peer.value
                error = ratio * math.hypot(ours.error / ours.value, peer.error / peer.value)
                ratios.append(Case(f"{_where(ours)}, {peer.method}", ratio, error, -math.inf, factor))
        return ratios

    return cases


def no_more_than_matched_filter(found: Measurements, method: str) -> list[Case]:
    """Cases of false detections beyond those of the matched filter, by search and threshold."""
    return [
        Case(_where(ours), ours.value - peer.value, math.hypot(ours.error, peer.error), -math.inf, 0.0)
        for ours in found.pick(method, "false_detections")
        for peer in found.pick(MATCHED_FILTER, "false_detections", ours.band, ours.bin)
    ]


def _where(each: Measurement) -> str:
    return ", ".join(part for part in (each.band, each.bin) if part)


def _both(limit: float) -> tuple[float, float]:
    return -limit, limit


FLUXES = (
    Criterion("flux bias, true S/N above 20", "< 0.01 mag", within("flux_bias", *_both(0.01), "> 20")),
    Criterion("flux bias, true S/N 10 to 20", "< 0.03 mag", within("flux_bias", *_both(0.03), "10-20")),
    Criterion("flux bias, true S/N 5 to 10", "< 0.1 mag", within("flux_bias", *_both(0.1), "5-10")),
)
UNCERTAINTY = (
    Criterion("truth within 1 sigma", "68 +- 3 %", within("coverage_1", 65.0, 71.0)),
    Criterion("truth within 2 sigma", "95 +- 2 %", within("coverage_2", 93.0, 97.0)),
)
CRITERIA = (
    Criterion("rms error over the best classical peer", "<= 0.5", below_peers(CLASSICAL, 0.5, best=True)),
    Criterion("rms error over Noise2Void, Noise2Self", "<= 0.8", below_peers(LEARNED, 0.8, best=False)),
    *FLUXES,
    Criterion("flux bias, measured S/N above 10", "< 0.01 mag",
              within("measured_bias", *_both(0.01), "> 10")),
    Criterion("flux bias, measured S/N 5 to 10", "< 0.03 mag", within("measured_bias", *_both(0.03), "5-10")),
    Criterion("dual-image photometry, bias", "< 0.005 mag", within("dual_bias", *_both(0.005))),
    Criterion("the same against the input at the true places", "< 0.5 %", within("dual_shift", *_both(0.5))),
    Criterion("dual-image photometry, scatter over the input's", "1 +- 0.05",
              within("dual_scatter", 0.95, 1.05)),
    Criterion("colour bias above S/N 10", "< 0.01 mag", within("colour_bias", *_both(0.01))),
    Criterion("flux left in other bands", "< 1 %", within("leak", *_both(1.0))),
    Criterion("background bias", "< 1e-4 nMgy", within("background", *_both(1e-4))),
    Criterion("diffuse light of 1, 0.3 and 0.2 sigma", "kept to 0.01 sigma",
              within("diffuse_light", *_both(0.01))),
    Criterion("FWHM of stars", "< 2 % changed", within("fwhm_change", *_both(2.0))),
    Criterion("ellipticity of stars", "< 0.005 changed", within("ellipticity_change", *_both(0.005))),
    Criterion("depth over the single-band matched filter", ">= 0.3 mag",
              within("depth_gain_single", 0.3, math.inf)),
    Criterion("depth over the combined matched filter", ">= 0 mag",
              within("depth_gain_combined", 0.0, math.inf)),
    Criterion("false detections in noise over the matched filter's", "<= 0 per arcmin2",
              no_more_than_matched_filter),
    Criterion("bright regions put back in pure noise", "<= 2 per Mpixel",
              within("noise_regions", 0.0, 2.0, "positive")),
    Criterion("dark regions put back in pure noise", "none", within("noise_regions", 0.0, 0.0, "negative")),
    Criterion("linearity", "1 +- 0.01", within("linearity", 0.99, 1.01)),
    Criterion("seams", "< 0.02 sigma", within("seam", -math.inf, 0.02)),  # below 0: less than elsewhere
    *UNCERTAINTY,
)  # fmt: skip
"""Of the table at one depth."""
DEPTH_CRITERIA = (
    Criterion("rms error over the best classical peer", "<= 0.7", below_peers(CLASSICAL, 0.7, best=True)),
    *FLUXES,
    *UNCERTAINTY,
)
"""Of the table by depth."""


def judge(found: Measurements, method: str, criteria: Iterable[Criterion] = CRITERIA) -> list[Verdict]:
    """Each criterion for one method, by its worst case."""
    return [_judge(criterion, criterion.cases(found, method)) for criterion in criteria]


def _judge(criterion: Criterion, cases: list[Case]) -> Verdict:
    if not cases:
        return Verdict(criterion.measure, criterion.wanted)
    failed = [case for case in cases if not case.holds]
    beyond_doubt = [case for case in failed if case.clear]
    worst = max(beyond_doubt or failed or cases, key=lambda case: case.badness)
    sure = bool(beyond_doubt) or (not failed and all(case.clear for case in cases))
    holds = ("no" if failed else "yes") + ("" if sure else ", in doubt")
    return Verdict(
        criterion.measure,
        criterion.wanted,
        worst.where,
        float(f"{worst.got:.4g}"),
        float(f"{worst.error:.2g}"),
        holds,
        len(cases),
        len(failed),
    )
