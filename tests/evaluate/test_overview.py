"""The first page of the report: what the tables say, whichever there are."""

from pathlib import Path

import pytest
from astropy.table import Table
from docutils.core import publish_parts

from skydenoise.evaluate.overview import write_overview

RISK = Table(rows=[("g", "all", 0.25), ("g", "sky", 0.05)], names=["band", "zone", "error"])
QUALITY = Table(
    rows=[("noisy", "g", 1.0, 0.01), ("denoised", "g", 0.107, 0.002)],
    names=["method", "band", "error", "error_err"],
)


@pytest.fixture
def overview(tmp_path: Path):
    def write(summary: str, **tables: Table) -> str:
        (tmp_path / "summary.txt").write_text(summary)
        for name, table in tables.items():
            table.write(tmp_path / f"{name}.ecsv", format="ascii.ecsv", overwrite=True)
        files = [tmp_path / f"{name}.ecsv" for name in tables]
        write_overview(tmp_path / "summary.txt", files, tmp_path / "overview.rst")
        return (tmp_path / "overview.rst").read_text()

    return write


def test_the_error_is_that_against_the_truth_where_there_is_one(overview) -> None:
    assert "g\N{NO-BREAK SPACE}0.107" in overview("2 bricks denoised, 0 skipped", risk=RISK, quality=QUALITY)
    assert "g\N{NO-BREAK SPACE}0.25" in overview("2 bricks denoised, 0 skipped", risk=RISK)


def test_warnings_are_told_and_any_name_is_harmless(overview) -> None:
    text = overview("1 bricks denoised, 1 skipped; in a_b_:\n  fetch: brick x*: |no| file_\n", risk=RISK)
    html = publish_parts(text, writer="html5", settings_overrides={"report_level": 1, "halt_level": 1})[
        "body"
    ]
    assert "brick x*: |no| file_" in html


def test_a_run_in_which_nothing_could_be_measured_says_so(overview) -> None:
    lines = overview("0 bricks denoised, 2 skipped", risk=RISK[:0], quality=QUALITY[:0]).splitlines()
    assert [line.split("**")[1] for line in lines] == ["Bricks", "Warnings", "To look at it"]


def test_what_was_observed_is_no_warning_and_none_is_left_out_unsaid(overview) -> None:
    assert "**Warnings**: none" in overview(
        "2 bricks denoised, 0 skipped\nObserved: 2 in g r z.\n", risk=RISK
    )
    text = overview(
        "9 bricks denoised, 6 skipped:\n" + "".join(f"  fetch: {n}\n" for n in range(6)), risk=RISK
    )
    assert "And 2 lines more" in text
