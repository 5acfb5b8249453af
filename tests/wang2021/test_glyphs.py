"""Glyphs as the paper draws and spoils them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from experiments.wang2021.configuration import PLANS, Configuration
from experiments.wang2021.frames import Data
from experiments.wang2021.glyphs import SCALE, add_noise, in_strokes, simulate, synthetic_glyph
from experiments.wang2021.glyphs_report import report
from experiments.wang2021.outcome import Denoised, Outcome
from experiments.wang2021.settings import GlyphSettings
from skydenoise.errors import StepError

from .conftest import FONT

LETTERS = "ABCDEFGHKLMNOPQRSTUVWXYZ"
TWELVE = GlyphSettings(str(FONT), LETTERS, count=12)


@pytest.fixture(scope="module")
def data() -> Data:
    return simulate(TWELVE, np.random.default_rng(0))


def test_glyphs_are_drawn_in_the_middle_and_differ(data: Data) -> None:
    drawn = data.clean * SCALE
    assert drawn.shape == (13, 64, 64)
    assert data.clean.dtype == data.noisy.dtype == np.float32
    assert drawn.min() == 0
    assert drawn.max() == pytest.approx(1)
    assert len({glyph.tobytes() for glyph in drawn}) == 13
    borders = drawn[:, [0, -1]].max(), drawn[:, :, [0, -1]].max()
    assert max(borders) == 0
    y, x = np.mgrid[:64, :64]
    assert np.average(y, weights=drawn.sum(0)) == pytest.approx(31.5, abs=4)
    assert np.average(x, weights=drawn.sum(0)) == pytest.approx(31.5, abs=4)


def test_the_seed_decides_on_glyphs_and_noise(data: Data) -> None:
    again, other = (simulate(TWELVE, np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(again.noisy, data.noisy)
    assert (other.clean != data.clean).any()


def test_the_last_glyph_is_held_out_and_has_five_strokes(data: Data) -> None:
    assert data.held_out == 1
    np.testing.assert_allclose(data.clean[-1] * SCALE, synthetic_glyph(64), atol=1e-6)
    diagonal = synthetic_glyph(64)[np.arange(64), np.arange(64)] > 0.5  # across the strokes
    assert np.count_nonzero(np.diff(diagonal.astype(int)) == 1) == 5


def test_noise_has_the_paper_s_medians_and_means() -> None:
    flat = np.stack([np.zeros((500, 500)), np.ones((500, 500))]).astype(np.float32)
    noisy = add_noise(flat, np.random.default_rng(0)) * SCALE
    assert noisy.min() >= 0
    assert noisy.max() <= SCALE
    np.testing.assert_allclose(np.median(noisy, axis=(1, 2)), [0, 1], atol=0.02)
    np.testing.assert_allclose(noisy.mean(axis=(1, 2)), [0.5, 1.125], atol=0.01)


def test_strokes_and_ground_leave_the_soft_edges_out() -> None:
    inside, outside = in_strokes(np.array([0, 0.5, 1], dtype=np.float32))
    assert inside.tolist() == [False, False, True]
    assert outside.tolist() == [True, False, False]


def test_a_missing_font_is_named_with_the_remedy() -> None:
    with pytest.raises(StepError, match=r"nowhere\.ttc cannot be read.*apt-get install fonts-wqy-zenhei"):
        simulate(replace(TWELVE, font="nowhere.ttc"), np.random.default_rng(0))


def test_blank_glyphs_are_dropped_and_too_few_refused() -> None:
    data = simulate(replace(TWELVE, characters="A B", count=0), np.random.default_rng(0))
    assert len(data.clean) == 3  # the synthetic one is the last
    with pytest.raises(StepError, match=r"frames\.count: 12 glyphs are asked for, .* holds 2"):
        simulate(replace(TWELVE, characters="A B"), np.random.default_rng(0))


def outcome(data: Data, images: Mapping[str, np.ndarray]) -> Outcome:
    snapshots = {1: data.noisy[-data.followed :], 2: data.clean[-data.followed :]}
    variants = {name: Denoised(image, 3.0, np.array([1, 0.5]), snapshots) for name, image in images.items()}
    configuration = Configuration("a", "glyphs", 0, ("baseline",), TWELVE, {}, 3.0)
    notes = ("Noise2Void left out: no reason",)
    return Outcome(configuration, data, variants, {"baseline": Denoised(data.noisy, 3.0)}, notes)


def test_the_report_tells_perfect_from_shrunken_from_useless(data: Data, tmp_path: Path) -> None:
    grain = 1e-4 * np.random.default_rng(0).standard_normal(data.clean.shape)
    shrunken = (0.5 + 0.625 * data.clean * SCALE) / SCALE + grain
    images = {"perfect": data.clean + grain, "shrunken": shrunken, "wrong": data.clean[::-1] + grain}
    done = outcome(data, images)

    report(done, tmp_path)

    table = Table.read(tmp_path / "measures.ecsv")
    rows = {str(row["method"]): row for row in table}
    assert list(rows) == ["noisy", "perfect", "shrunken", "wrong", "baseline"]
    assert rows["perfect"]["contrast"] == pytest.approx(1, abs=1e-3)
    assert rows["shrunken"]["contrast"] == pytest.approx(0.625, abs=1e-3)
    assert rows["shrunken"]["black"] == pytest.approx(0.5, abs=1e-3)
    assert rows["shrunken"]["white"] == pytest.approx(1.125, abs=1e-3)
    assert rows["perfect"]["psnr"] > 60
    assert rows["shrunken"]["psnr"] < 20
    assert rows["shrunken"]["psnr_scaled"] > 60  # it is the contrast alone that is wrong
    assert rows["shrunken"]["right"] == rows["shrunken"]["legible"] == 1
    assert rows["noisy"]["legible"] == rows["wrong"]["legible"] == 0
    assert rows["wrong"]["right"] == pytest.approx(0, abs=0.2)
    assert rows["perfect"]["synthetic_right"]
    assert not rows["wrong"]["synthetic_right"]
    text = (tmp_path / "summary.txt").read_text()
    assert "Noise2Void left out: no reason" in text
    for name in PLANS["glyphs"].figures:
        with Image.open(tmp_path / f"figure-{name}.png") as figure:
            assert min(figure.size) > 200
