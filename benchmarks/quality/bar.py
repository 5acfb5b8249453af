"""What was promised, and whether it holds: computed from the figures, nothing typed in."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.quality.figures import Figure, Figures

CLASSICAL = ("starlet", "BM3D", "NLM")
LEARNED = ("Noise2Void", "Noise2Self")
MATCHED_FILTER = "noisy"
"""Detection in the noisy image is by the matched filter itself."""
CLEAR = 2.0
"""Standard errors between a figure and its limit from which on there is no doubt."""


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
        """What cases of one line are ordered by: how far outside, over the room that the limits leave."""
        room = self.high - self.low
        scale = room / 2 if math.isfinite(room) else abs(self.high if math.isfinite(self.high) else self.low)
        return -self.margin / (scale or 1.0)


@dataclass(frozen=True)
class Line:
    """A line of the bar.

    measure, wanted : in words
    cases : picks the numbers of a method and their limits
    """

    measure: str
    wanted: str
    cases: Callable[[Figures, str], list[Case]]


@dataclass(frozen=True)
class Verdict:
    """A line of the bar and what became of it.

    where, got, error : the worst case, beyond doubt if there is one; empty and NaN if nothing was measured
    holds : "yes", "no" or "not measured"; with "in doubt" if the limit is nearer than CLEAR errors
    cases, failed : how many numbers were held against their limits, and how many lie outside
    """

    measure: str
    wanted: str
    where: str
    got: float
    error: float
    holds: str
    cases: int
    failed: int


def within(measure: str, low: float, high: float, bins: Iterable[str] | None = None) -> Callable:
    """Cases of every band and bin of a measure, or of some bins, between two limits."""

    def cases(figures: Figures, method: str) -> list[Case]:
        chosen = [
            figure for figure in figures.pick(method, measure) if bins is None or figure.bin in set(bins)
        ]
        return [Case(_where(figure), figure.value, figure.error, low, high) for figure in chosen]

    return cases


def below_peers(peers: Iterable[str], factor: float, *, best: bool) -> Callable:
    """Cases of the rms error over that of peers, by band: of the best of them, or of each."""

    def cases(figures: Figures, method: str) -> list[Case]:
        found = []
        for ours in figures.pick(method, "error"):
            others = [peer for name in peers for peer in figures.pick(name, "error", ours.band)]
            if best and others:
                others = [min(others, key=lambda figure: figure.value)]
            for peer in others:
                ratio = ours.value / peer.value
                error = ratio * math.hypot(ours.error / ours.value, peer.error / peer.value)
                found.append(Case(f"{ours.band}, {peer.method}", ratio, error, -math.inf, factor))
        return found

    return cases


def no_more_than_matched_filter(figures: Figures, method: str) -> list[Case]:
    """Cases of false detections beyond those of the matched filter, by search and threshold."""
    found = []
    for ours in figures.pick(method, "false_detections"):
        for peer in figures.pick(MATCHED_FILTER, "false_detections", ours.band, ours.bin):
            error = math.hypot(ours.error, peer.error)
            found.append(Case(_where(ours), ours.value - peer.value, error, -math.inf, 0.0))
    return found


def _where(figure: Figure) -> str:
    return ", ".join(part for part in (figure.band, figure.bin) if part)


def _both(limit: float) -> tuple[float, float]:
    return -limit, limit


BAR = (
    Line("rms error over the best classical peer", "<= 0.5", below_peers(CLASSICAL, 0.5, best=True)),
    Line("rms error over Noise2Void, Noise2Self", "<= 0.8", below_peers(LEARNED, 0.8, best=False)),
    Line("aperture flux bias, true S/N above 20", "< 0.01 mag", within("flux_bias", *_both(0.01), ["> 20"])),
    Line("aperture flux bias, true S/N 10 to 20", "< 0.03 mag", within("flux_bias", *_both(0.03), ["10-20"])),
    Line("aperture flux bias, true S/N 5 to 10", "< 0.1 mag", within("flux_bias", *_both(0.1), ["5-10"])),
    Line("flux bias, measured S/N above 10", "< 0.01 mag", within("measured_bias", *_both(0.01), ["> 10"])),
    Line("flux bias, measured S/N 5 to 10", "< 0.03 mag", within("measured_bias", *_both(0.03), ["5-10"])),
    Line("dual-image photometry, bias", "< 0.005 mag", within("dual_bias", *_both(0.005))),
    Line("the same against the input at the true places", "< 0.5 %", within("dual_shift", *_both(0.5))),
    Line("dual-image photometry, scatter over the input's", "1 +- 0.05", within("dual_scatter", 0.95, 1.05)),
    Line("colour bias above S/N 10", "< 0.01 mag", within("colour_bias", *_both(0.01))),
    Line("flux left in other bands", "< 1 %", within("leak", *_both(1.0))),
    Line("background bias", "< 1e-4 nMgy", within("background", *_both(1e-4))),
    Line("FWHM of stars", "< 2 % changed", within("fwhm_change", *_both(2.0))),
    Line("ellipticity of stars", "< 0.005 changed", within("ellipticity_change", *_both(0.005))),
    Line("depth over the single-band matched filter", ">= 0.3 mag",
         within("depth_gain_single", 0.3, math.inf)),
    Line("depth over the combined matched filter", ">= 0 mag", within("depth_gain_combined", 0.0, math.inf)),
    Line("false detections in noise over the matched filter's", "<= 0 per arcmin2",
         no_more_than_matched_filter),
    Line("linearity", "1 +- 0.01", within("linearity", 0.99, 1.01)),
    Line("seams", "< 0.02 sigma", within("seam", -math.inf, 0.02)),  # below 0: less than elsewhere
    Line("truth within 1 sigma", "68 +- 3 %", within("coverage_1", 65.0, 71.0)),
    Line("truth within 2 sigma", "95 +- 2 %", within("coverage_2", 93.0, 97.0)),
)  # fmt: skip


def judge(figures: Figures, method: str, bar: Iterable[Line] = BAR) -> list[Verdict]:
    """Each line of the bar for one method, by its worst case."""
    verdicts = []
    for line in bar:
        cases = line.cases(figures, method)
        if not cases:
            verdicts.append(Verdict(line.measure, line.wanted, "", math.nan, math.nan, "not measured", 0, 0))
            continue
        failed = [case for case in cases if not case.holds]
        beyond_doubt = [case for case in failed if case.clear]
        worst = max(beyond_doubt or failed or cases, key=lambda case: case.badness)
        sure = bool(beyond_doubt) or (not failed and all(case.clear for case in cases))
        holds = ("no" if failed else "yes") + ("" if sure else ", in doubt")
        verdicts.append(
            Verdict(
                measure=line.measure,
                wanted=line.wanted,
                where=worst.where,
                got=worst.got,
                error=worst.error,
                holds=holds,
                cases=len(cases),
                failed=len(failed),
            )
        )
    return verdicts
