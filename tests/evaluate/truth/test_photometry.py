"""Photometry against a known truth: lost flux is found, noise is no bias."""

from dataclasses import replace

import numpy as np
import pytest

from skydenoise.evaluate.aperture import aperture_noise
from skydenoise.evaluate.truth.photometry import (
    Apertures,
    colour_table,
    combine,
    isolated_sources,
    measure,
    photometry_table,
)
from tests.builders import SIGMA, gaussians, make_brick, make_known, make_noise, places

SIZE = 200
BANDS = ("g", "r")
NOISE = make_noise(BANDS)


@pytest.fixture(scope="module")
def known():
    """Gaussian sources on a grid, fluxes 0.5 to 50 nMgy, in white noise."""
    generator = np.random.default_rng(0)
    x, y = places(SIZE, 20, 25)
    flux = 10 ** generator.uniform(-0.3, 1.7, x.size)
    return make_known([gaussians((SIZE, SIZE), x, y, flux)] * 2, NOISE, x, y, flux)


def measured(known, image):
    return measure(known, {"noisy": known.brick.image, "denoised": image}, NOISE)


def row_of(table, binned_by, low, **wanted):
    for name, value in (wanted | {"binned_by": binned_by, "low": low}).items():
        table = table[table[name] == value]
    (row,) = table
    return row


def test_a_perfect_image_has_no_bias(known):
    table = photometry_table(measured(known, known.truth), BANDS, np.random.default_rng(0))
    assert row_of(table, "snr_above", 20, band="r", method="denoised")["bias_percent"] == pytest.approx(
        0, abs=1e-3
    )


def test_two_per_cent_of_lost_flux_are_found(known):
    noise = 0.1 * SIGMA * np.random.default_rng(1).standard_normal(known.truth.shape)
    table = photometry_table(measured(known, 0.98 * known.truth + noise), BANDS, np.random.default_rng(0))
    row = row_of(table, "snr_above", 20, band="r", method="denoised")
    assert row["sources"] > 20
    assert abs(row["bias_percent"] + 2) < 4 * row["bias_percent_err"] < 1
    assert abs(row["bias_mag"] - 0.0219) < 4 * row["bias_mag_err"]
    assert abs(row["shift_percent"] + 2) < 4 * row["shift_percent_err"]
    by_magnitude = table[(table["binned_by"] == "magnitude") & (table["method"] == "denoised")]
    assert len(by_magnitude) > 6
    for row in by_magnitude[by_magnitude["sources"] > 2]:
        assert abs(row["bias_percent"] + 2) < 5 * row["bias_percent_err"] + 0.05


def test_scatter_is_that_of_the_aperture(known):
    apertures = measured(known, known.truth)
    pull = ((apertures.fluxes["noisy"] - apertures.truth) / apertures.noise)[apertures.good]
    assert pull.std() == pytest.approx(1, rel=0.25)


def test_colours_see_one_band_alone(known):
    redder = known.truth.copy()
    redder[1] *= 1.05
    table = colour_table(measured(known, redder), BANDS, np.random.default_rng(0))
    row = row_of(table, "snr_above", 20, method="denoised")
    assert row["colour"] == "g-r"
    assert row["bias_mag"] == pytest.approx(2.5 * np.log10(1.05), abs=1e-4)


def test_crowded_saturated_and_masked_sources_are_left_out(known):
    x, flux = np.array([0.0, 8, 40]), np.array([[100.0, 5, 1]])
    np.testing.assert_array_equal(isolated_sources(x, np.zeros(3), flux), [[True, False, True]])
    sources, mask = known.sources.copy(), known.measured.copy()
    sources["saturated"][3] = True
    mask[0, round(sources["y"][5]), round(sources["x"][5])] = False
    good = measured(replace(known, sources=sources, measured=mask), known.truth).good
    assert not good[:, 3].any()
    assert good[:, 5].tolist() == [False, True]
    assert good.sum() == good.size - 3


def test_a_source_in_two_bricks_counts_once(known):
    part = measured(known, known.truth)
    both = combine([part, part])
    assert both.truth.shape == part.truth.shape
    np.testing.assert_array_equal(both.fluxes["noisy"], part.fluxes["noisy"])


def test_fluxes_are_calibrated_given_what_is_measured():
    """Shrunk towards the mean of all sources: biased given the true flux, calibrated given its own."""
    generator = np.random.default_rng(3)
    at = np.array([10.0])
    aperture = aperture_noise(make_brick(np.zeros((2, 20, 20))), NOISE, at, at)[0, 0]
    truth = aperture * generator.normal(20, 3, (1, 1000))
    noisy = truth + aperture * generator.standard_normal(truth.shape)
    shrunk = 20 * aperture + 0.9 * (noisy - 20 * aperture)  # what Bayes makes of it: 9 / (9 + 1)
    sample = Apertures(
        truth=truth,
        noise=np.full(truth.shape, aperture),
        magnitude=np.full(truth.shape, 20.0),
        good=np.ones(truth.shape, bool),
        fluxes={"noisy": noisy, "denoised": shrunk},
        direction=np.zeros((3, 1000)),
    )
    table = photometry_table(sample, ("g",), np.random.default_rng(0), {"denoised": sample})
    for key in ("snr_measured", "snr_detected"):
        row = row_of(table, key, 20, method="denoised")
        assert abs(row["bias_percent"]) < 4 * row["bias_percent_err"] < 1
    assert row_of(table, "snr_measured", 20, method="noisy")["bias_percent"] > 0.5  # noise made many bright
    assert row_of(table, "snr", 20, method="denoised")["bias_percent"] < -0.5
    assert "snr_detected" not in table[table["method"] == "noisy"]["binned_by"]
