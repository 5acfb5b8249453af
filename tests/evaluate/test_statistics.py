"""Uncertainties of pooled statistics, and the tables that carry them."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.evaluate.statistics import (
    block_index,
    block_sums,
    bootstrap_error,
    jackknife,
    mean,
    rms,
    robust_scatter,
)
from skydenoise.evaluate.tables import Field, make_table, write_table


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_blocks_cover_every_pixel_once(height, width, size):
    index = block_index((height, width), size)
    sums = block_sums(index, np.ones((height, width), bool), [])
    assert sums.shape == (1, -(-height // size) * -(-width // size))
    assert sums.sum() == height * width
    assert sums.max() <= size**2


def test_only_chosen_pixels_are_summed():
    where = np.zeros((8, 8), bool)
    where[1, 2] = where[5, 6] = True
    values = np.arange(64.0).reshape(8, 8)
    sums = block_sums(block_index((8, 8), 4), where, [values])
    np.testing.assert_array_equal(sums, [[1, 0, 0, 1], [10, 0, 0, 46]])


def test_jackknife_of_a_mean_is_the_textbook_error():
    sample = np.random.default_rng(1).normal(3, 2, 50)
    value, error = jackknife(mean, np.stack([np.ones(50), sample]))
    assert value == pytest.approx(sample.mean())
    assert error == pytest.approx(sample.std(ddof=1) / np.sqrt(50))


def test_jackknife_of_blocks_holds_for_correlated_pixels():
    # 100 blocks of 25 pixels that are all alike: 100 independent values, not 2500
    sample = np.random.default_rng(2).normal(size=100)
    _, error = jackknife(mean, np.stack([np.full(100, 25.0), 25 * sample]))
    assert error == pytest.approx(sample.std(ddof=1) / 10)


def test_nothing_measured_is_nan_without_a_warning():
    assert np.isnan(jackknife(rms, np.zeros((2, 4)))).all()
    value, error = jackknife(rms, np.array([[4.0, 0], [16.0, 0]]))
    assert value == 2
    assert np.isnan(error)


def _mean_and_median(sample):
    return np.stack([sample[0].mean(axis=-1), np.median(sample[0], axis=-1)])


def test_bootstrap_agrees_with_theory():
    sample = np.random.default_rng(3).normal(0, 1, (1, 400))
    errors = bootstrap_error(_mean_and_median, sample, np.random.default_rng(4), resamples=500)
    np.testing.assert_allclose(errors, [1 / 20, 1.2533 / 20], rtol=0.2)
    assert np.isnan(bootstrap_error(_mean_and_median, sample[:, :1], np.random.default_rng(4))).all()


def test_robust_scatter_ignores_outliers_and_infinities():
    sample = np.random.default_rng(5).normal(1, 0.1, 2000)
    sample[:20], sample[20:40] = np.inf, -50
    assert robust_scatter(sample) == pytest.approx(0.1, rel=0.1)


def test_a_table_says_what_its_columns_mean(tmp_path):
    fields = [Field("band", "filter", dtype=str), *Field("flux", "a flux", "nmgy").with_error("guessed")]
    table = make_table(fields, [{"band": "g", "flux": 1 / 3, "flux_err": np.nan}], {"rule": "as said"})
    write_table(tmp_path / "new" / "table.ecsv", table)
    again = Table.read(tmp_path / "new" / "table.ecsv")
    assert str(again["flux"].unit) == "nmgy"
    assert again["flux_err"].description == "standard error of flux: guessed"
    assert again.meta["rule"] == "as said"
    assert again["flux"][0] == pytest.approx(1 / 3, rel=1e-5)
    assert np.isnan(again["flux_err"][0])
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["table.ecsv"]


def test_a_table_may_have_no_rows(tmp_path):
    write_table(tmp_path / "t.ecsv", make_table([Field("band", "filter", dtype=str)], [], {}))
    assert len(Table.read(tmp_path / "t.ecsv")) == 0
