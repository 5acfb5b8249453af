"""An honest verdict, and a table and curves that can be read."""

import json
import math
from dataclasses import replace

import matplotlib.image as mpimg
import pytest
from matplotlib.figure import Figure as Canvas

from benchmarks.quality import report
from benchmarks.quality.bar import BAR, Line, Verdict, judge, within
from benchmarks.quality.curves import LEFT_OUT, draw, draw_curves
from benchmarks.quality.figures import Figure, Figures
from benchmarks.quality.methods import PRODUCT, REPOSITORY

LINE = Line("bias", "< 0.01 mag", within("flux_bias", -0.01, 0.01))


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
def test_a_line_of_the_bar_is_judged_by_its_worst_case(values, holds, where, failed):
    figures = Figures(
        Figure("ours", "flux_bias", band, "", *value) for band, value in zip("gr", values, strict=True)
    )
    verdict = judge(figures, "ours", [LINE])[0]
    assert (verdict.holds, verdict.where, verdict.failed) == (holds, where, failed)


def test_errors_are_held_against_the_best_classical_peer_of_each_band():
    figures = Figures(
        Figure(method, "error", band, "", value, 0.001)
        for method, values in {"denoised": (0.06, 0.04), "starlet": (0.1, 0.2), "BM3D": (0.2, 0.1)}.items()
        for band, value in zip("gr", values, strict=True)
    )
    verdict = judge(figures, "denoised", BAR[:2])
    assert verdict[0].got == pytest.approx(0.6)
    assert (verdict[0].where, verdict[0].failed, verdict[0].cases) == ("g, starlet", 1, 2)
    assert verdict[1].holds == "not measured"


def test_false_detections_are_held_against_the_matched_filter():
    figures = Figures(
        Figure(method, "false_detections", "g", "score > 4", value, 0.1)
        for method, value in (("noisy", 1.0), ("denoised", 0.2))
    )
    verdict = next(each for each in judge(figures, "denoised") if each.measure.startswith("false"))
    assert (verdict.holds, verdict.got) == ("yes", pytest.approx(-0.8))


def some_figures():
    return Figures(
        Figure(method, measure, band, bin, 0.0123456789 * number, 0.001)
        for number, method in enumerate(("noisy", "a method with a long name", PRODUCT))
        for measure, bin in (("error", ""), ("sky_rms", ""), *(("flux_bias", bin) for bin in "abcdef"))
        for band in "grz"
    )


def test_the_table_fits_a_terminal_and_loses_nothing():
    figures = some_figures()
    text = report.text(figures, {PRODUCT: judge(figures, PRODUCT)})
    assert max(map(len, text.splitlines())) <= report.WIDTH
    assert text.count("±0.001") == len(figures)
    assert "not measured" in text


def test_the_file_gives_the_same_table_as_markdown(tmp_path):
    figures = some_figures()
    figures.add([Figure("noisy", "seconds", "", "", 0.5, math.nan)])
    verdicts = {PRODUCT: judge(figures, PRODUCT)}
    path = report.write(
        "quality-test", {"command": "run me", "seed": 3}, ["a note"], figures, verdicts, tmp_path
    )
    content = json.loads(path.read_text())
    assert content["seed"] == 3
    assert content["figures"][-1]["error"] is None
    assert "torch" in content["versions"]
    assert [Figure(**each) for each in content["figures"][:3]] == [
        replace(figure, value=float(f"{figure.value:.6g}")) for figure in list(figures)[:3]
    ]
    assert len(content["verdict"][PRODUCT]) == len(BAR)
    page = report.markdown(path)
    assert "* a note" in page
    assert "| method | error g | error r | error z | sky g |" in page
    assert f"| {PRODUCT} | 0.025±0.001 |" in page
    assert f"| {PRODUCT} | 0.025 0.025 0.025 | 0.025 0.025 0.025 | - |" in page
    for field in ("holds", "wanted"):
        assert getattr(Verdict(**content["verdict"][PRODUCT][0]), field) == getattr(
            verdicts[PRODUCT][0], field
        )


def test_curves_are_drawn_from_the_committed_file(tmp_path):
    committed = REPOSITORY / "benchmarks/results/quality-decam-quick.json"
    draw_curves(committed, tmp_path / "curves.png")
    assert mpimg.imread(tmp_path / "curves.png").std() > 0.05
    figure = Canvas()
    bias = [each for each in json.loads(committed.read_text())["figures"] if each["measure"] == "flux_bias"]
    draw(figure.subplots(), [Figure(**each) for each in bias], "flux_bias", "r")
    drawn = {series.get_label(): series for series in figure.axes[0].containers}
    value = next(
        each["value"]
        for each in bias
        if (each["method"], each["band"], each["bin"]) == ("denoised", "r", "10-20")
    )
    assert drawn["denoised"].lines[0].get_ydata()[1] == value
    assert set(drawn) == {each["method"] for each in bias} - set(LEFT_OUT)
    looks = [(line.get_color(), line.get_linestyle()) for line in (drawn[each].lines[0] for each in drawn)]
    assert len(set(looks)) == len(drawn)
