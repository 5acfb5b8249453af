"""The numbers beside the survey figure say what was done to an image, and how surely."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.image import imread

from experiments.wang2021.dr8 import (
    BeforeAfter,
    empty_sky,
    flux_kept,
    measures,
    report,
    report_skipped,
    sky_rms,
    stripes,
)
from tests.builders import SIGMA, make_showcase

SOURCE = [("x", float), ("y", float), ("a", float), ("flux", float)]


def sky(height: int = 256, width: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)


@pytest.mark.parametrize("amplitude", [0.0, 0.3, 2.0])
def test_stripes_are_measured_to_their_error(amplitude: float) -> None:
    generator = np.random.default_rng(3)
    image = sky() + amplitude * generator.standard_normal((256, 1))
    found, error = stripes(image, np.ones(image.shape, bool), generator)
    assert 0 < error < max(0.1, 0.1 * amplitude)
    assert found == pytest.approx(amplitude, abs=max(4 * error, 0.1))
    along, _ = stripes(image.T, np.ones(image.T.shape, bool), generator)
    assert abs(along) < 0.1


def test_neither_sources_nor_lines_without_sky_count() -> None:
    image, where = sky(), np.ones((256, 300), bool)
    image[50:60], where[50:60] = 1e6, False
    image[100:120, 30:50], where[100:120, 30:50] = 1e6, False
    found, error = stripes(image, where, np.random.default_rng(1))
    assert abs(found) < max(4 * error, 0.15)
    assert np.isnan(stripes(image, np.zeros_like(where), np.random.default_rng(1))).all()


def test_the_sky_s_rms_is_its_own() -> None:
    image = 5 + 3 * sky()
    value, error = sky_rms(image, np.ones(image.shape, bool))
    assert value == pytest.approx(3, abs=4 * error)
    assert np.isnan(sky_rms(image, np.zeros(image.shape, bool))[0])


def test_sky_keeps_away_from_sources_and_from_bad_pixels() -> None:
    usable = np.ones((100, 100), bool)
    usable[:10] = False
    found = np.array([(50.0, 60.0, 2.0, 9.0)], SOURCE)
    empty = empty_sky(found, usable)
    assert not empty[:12].any()
    y, x = np.nonzero(~empty[12:98, 2:98])
    assert np.hypot(y + 12 - 60, x + 2 - 50).max() <= 14.5
    assert not empty[60, 50]


@pytest.mark.parametrize("kept", [1.0, 0.8])
def test_flux_is_compared_source_by_source(kept: float) -> None:
    y, x = np.mgrid[:300, :300]
    places = [(50, 60), (50, 200), (150, 100), (200, 240), (250, 60), (255, 66)]
    image = sum(100 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 8) for at in places)
    found = np.array([(at[1], at[0], 2.0, 9.0) for at in places], SOURCE)
    row = flux_kept(image, kept * image, np.ones(image.shape, bool), found, 1.0)
    assert (row["bright"], row["faint"]) == (4, 0)  # two are too close to each other
    assert row["bright_kept"] == pytest.approx(kept)
    assert np.isnan(row["faint_kept"])


def test_figure_and_table_come_from_a_brick(tmp_path: Path) -> None:
    brick, denoised, truth = make_showcase()
    bad = np.zeros_like(brick.masked)
    bad[:, 80:90, 20] = True
    raw = np.where(brick.masked, 20, np.where(bad, 3, brick.image))
    both = BeforeAfter(replace(brick, masked=brick.masked | bad), raw, brick.masked, denoised, truth)
    report(both, tmp_path / "dr8-a.b", "Input pixels: nobody's.", np.random.default_rng(0))
    table = Table.read(tmp_path / "dr8-a.b.ecsv", format="ascii.ecsv")
    assert list(table["band"]) == ["g", "r", "z"]
    np.testing.assert_allclose(table["sky_raw"], SIGMA, rtol=0.05)
    assert (table["sky_denoised"] < 0.5 * SIGMA).all()
    np.testing.assert_allclose(table["saturated_denoised"], 1)
    assert (table["saturated_raw"] < 0.8).all()
    assert (table["saturated"] == brick.masked.sum(axis=(1, 2))).all()
    assert (table["bad"] == 10).all()
    np.testing.assert_allclose(table["bad_raw"], 3, rtol=0.01)
    np.testing.assert_allclose(table["bad_denoised"], 0)
    picture = imread(tmp_path / "dr8-a.b.png")
    assert picture.shape[0] > picture.shape[1] > 1000  # whole and three zones, twice; colour and three bands


def test_without_a_truth_nothing_is_said_of_masked_pixels() -> None:
    brick, denoised, truth = make_showcase(bands=("g",))
    row = measures(BeforeAfter(brick, truth, brick.masked, denoised, None), np.random.default_rng(0))[0]
    assert row["saturated"] > 0
    assert np.isnan([row["saturated_denoised"], row["bad_denoised"]]).all()
    none = np.zeros_like(brick.masked)
    blank = replace(brick, masked=none)
    row = measures(BeforeAfter(blank, truth, none, denoised, truth), np.random.default_rng(0))[0]
    assert (row["saturated"], row["bad"]) == (0, 0)
    assert np.isnan([row["saturated_denoised"], row["bad_denoised"]]).all()


def test_a_skipped_brick_is_said_to_be_so(tmp_path: Path) -> None:
    report_skipped("1502p600", tmp_path / "dr8-1502p600")
    assert len(Table.read(tmp_path / "dr8-1502p600.ecsv", format="ascii.ecsv")) == 0
    assert imread(tmp_path / "dr8-1502p600.png").min() < 0.5
