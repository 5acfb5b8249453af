"""An honest verdict, and a text that can be read."""

import math

import pytest

from benchmarks import machine
from benchmarks.quality.acceptance import CRITERIA, Criterion, Verdict, judge, within
from benchmarks.quality.measurements import Measurement, Measurements
from benchmarks.quality.methods import PRODUCT

BIAS = Criterion("bias", "< 0.01 mag", within("flux_bias", -0.01, 0.01))


@pytest.mark.parametrize(
    ("values", "holds", "where", "failed"),
    [
        ([(0.001, 0.001), (-0.002, 0.001)], "yes", "r", 0),
        ([(0.001, 0.001), (-0.009, 0.002)], "yes, in doubt", "r", 0),
        ([(0.011, 0.002), (0.0, 0.001)], "no, in doubt", "g", 1),
        ([(0.05, 0.001), (0.0, 0.001)], "no", "g", 1),
        ([(0.05, 0.04), (-0.02, 0.001)], "no", "r", 2),  # the worse one is in doubt, the other is not
        ([(0.001, math.nan), (0.0, 0.001)], "yes, in doubt", "g", 0),
        ([(math.nan, math.nan), (math.nan, 0.1)], "not measured", "", 0),
    ],
)
def test_a_criterion_is_judged_by_its_worst_case(values, holds, where, failed):
    found = Measurements(
        Measurement("ours", "flux_bias", band, "", *value) for band, value in zip("gr", values, strict=True)
    )
    verdict = judge(found, "ours", [BIAS])[0]
    assert (verdict.holds, verdict.where, verdict.failed) == (holds, where, failed)


def test_errors_are_held_against_the_best_classical_peer_of_each_band_and_depth():
    errors = {"denoised": (0.06, 0.04), "starlet": (0.1, 0.2), "BM3D": (0.2, 0.1)}
    found = Measurements(
        Measurement(method, "error", band, depth, factor * value, 0.001)
        for method, values in errors.items()
        for band, value in zip("gr", values, strict=True)
        for depth, factor in (("1 pass", 1), ("7 passes", 2 if method == "denoised" else 1))
    )
    classical, learned = judge(found, "denoised", CRITERIA[:2])
    assert classical.got == pytest.approx(1.2)
    assert (classical.where, classical.failed, classical.cases) == ("g, 7 passes, starlet", 3, 4)
    assert learned.holds == "not measured"


def test_bins_of_one_criterion_are_those_whose_names_begin_so():
    found = Measurements(
        Measurement("ours", "flux_bias", "g", bin, value, 0.001)
        for bin, value in (("> 20, 1 pass", 0.005), ("> 20, 7 passes", 0.02), ("5-10, 1 pass", 0.05))
    )
    assert [(each.got, each.cases) for each in judge(found, "ours") if each.cases] == [(0.02, 2), (0.05, 1)]


def test_false_detections_are_held_against_the_matched_filter():
    found = Measurements(
        Measurement(method, "false_detections", "g", "score > 4", value, 0.1)
        for method, value in (("noisy", 1.0), ("denoised", 0.2))
    )
    verdict = next(each for each in judge(found, "denoised") if each.measure.startswith("false"))
    assert (verdict.holds, verdict.got) == ("yes", pytest.approx(-0.8))


def some_measurements():
    return Measurements(
        Measurement(method, measure, band, bin, 0.0123456789 * number, 0.001)
        for number, method in enumerate(("noisy", "a method with a long name", PRODUCT))
        for measure, bin in (("error", ""), ("sky_rms", ""), *(("flux_bias", bin) for bin in "abcdef"))
        for band in "grz"
    )


def test_the_text_loses_nothing():
    found = some_measurements()
    assert found.text().count("± 0.001") == len(found)
    first = " ".join(found.text().splitlines()[0].split())
    assert first == "error noisy g 0 ± 0.001; r 0 ± 0.001; z 0 ± 0.001"
    assert "g f 0.02469" in found.text()


def test_the_file_is_short_and_a_verdict_says_what_was_wanted(tmp_path):
    found = some_measurements()
    found.append(Measurement("noisy", "seconds", "", "", 0.5, math.nan))
    verdicts = {PRODUCT: judge(found, PRODUCT)}
    content = {
        "measurements": found.to_json(),
        "verdicts": {name: [each.to_json() for each in lines] for name, lines in verdicts.items()},
    }
    path = machine.write_results("quality-test", "benchmarks.quality", content, folder=tmp_path)
    assert len(path.read_text().splitlines()) < 60  # a line for each method and measure
    words = [" ".join(str(each).split()) for each in verdicts[PRODUCT]]
    assert "rms error over Noise2Void, Noise2Self <= 0.8 not measured" in words
    bias = str(Verdict("bias", "< 0.01 mag", "r", 0.0211, 0.004, "no, in doubt", 3, 1))
    assert " ".join(bias.split()) == "bias < 0.01 mag 0.0211 ± 0.004 (r) 1 of 3 outside no, in doubt"
