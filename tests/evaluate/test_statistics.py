"""Uncertainties of pooled statistics, and the tables that carry them."""

from dataclasses import dataclass

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from skydenoise.evaluate.statistics import (
    Blocks,
    bootstrap_row,
    jackknife,
    jackknife_row,
    joined,
    mean,
    rms,
    robust_scatter,
    selected,
)
from skydenoise.evaluate.tables import Field, declared_table, make_table, write_table


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_blocks_cover_every_pixel_once(height, width, size):
    blocks = Blocks((height, width), size)
    sums = blocks.sums(np.ones((height, width), bool))
    assert sums.shape == (1, -(-height // size) * -(-width // size)) == (1, blocks.count)
    assert sums.sum() == height * width
    assert sums.max() <= size**2


def test_only_chosen_pixels_are_summed():
    where = np.zeros((8, 8), bool)
    where[1, 2] = where[5, 6] = True
    values = np.arange(64.0).reshape(8, 8)
    blocks = Blocks((8, 8), 4)
    np.testing.assert_array_equal(blocks.sums(where, values), [[1, 0, 0, 1], [10, 0, 0, 46]])
    below = np.s_[4:]
    np.testing.assert_array_equal(blocks.sums(where[below], part=below), [[0, 0, 0, 1]])


@dataclass(frozen=True)
class Sample:
    values: np.ndarray
    area: float


def test_parts_are_joined_along_the_last_axis_and_members_chosen():
    one, other = Sample(np.array([[1, 2], [3, 4]]), 2.0), Sample(np.array([[5], [6]]), 0.5)
    both = joined([{"a": one}, {"a": other}])["a"]
    assert both.values.tolist() == [[1, 2, 5], [3, 4, 6]]
    assert both.area == 2.5
    chosen = selected({"a": both.values, "b": both.values[0]}, both.values[0] != 2)
    assert (chosen["a"].tolist(), chosen["b"].tolist()) == ([[1, 5], [3, 6]], [1, 5])
    assert joined([]) == {}


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


MEASURES = {
    "mean": lambda sample: sample[0].mean(axis=-1),
    "median": lambda sample: np.median(sample[0], axis=-1),
}


def test_rows_hold_values_and_errors():
    sums, measures = np.array([[1.0, 1], [2, 4]]), {"mean": mean}
    row = jackknife_row(sums, measures)
    assert row == {"mean": 3, "mean_err": 1} == jackknife_row({"mean": sums}, measures)
    generator = np.random.default_rng(0)
    row = bootstrap_row(MEASURES, np.array([[1.0, np.inf]]), generator)
    assert set(row) == {"mean", "mean_err", "median", "median_err"}
    assert np.isnan(list(row.values())).all()
    assert np.isnan(bootstrap_row(MEASURES, np.empty((1, 0)), generator)["mean"])


def test_bootstrap_agrees_with_theory():
    sample = np.random.default_rng(3).normal(0, 1, (1, 400))
    row = bootstrap_row(MEASURES, sample, np.random.default_rng(4))
    assert (row["mean_err"], row["median_err"]) == pytest.approx((1 / 20, 1.2533 / 20), rel=0.2)
    assert np.isnan(bootstrap_row(MEASURES, sample[:, :1], np.random.default_rng(4))["mean_err"])


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


def test_a_declared_table_has_its_columns_whatever_its_rows(tmp_path):
    row = {"band": "g", "zone": "all", "pixels": 4, "within_1": 0.5, "within_1_err": 0.1}
    row |= {"within_2": 1.0, "within_2_err": np.nan}
    full, empty = declared_table("coverage", [row]), declared_table("coverage", [])
    assert full.colnames == empty.colnames == list(row)
    assert full["pixels"].dtype.kind == "i"
    assert str(full["pixels"].unit) == "pix"
    assert full["within_1_err"].description == f"standard error of within_1: {full.meta['errors']}"
    write_table(tmp_path / "t.ecsv", empty)
    assert len(Table.read(tmp_path / "t.ecsv")) == 0
    assert empty["zone"].dtype.kind == "U"
    with pytest.raises(KeyError, match="within_2"):
        declared_table("coverage", [{key: row[key] for key in list(row)[:5]}])


def test_numbered_columns_are_as_many_as_the_rows_have():
    row = dict.fromkeys(("mean", "mean_err", "rms", "rms_err", "starlet_1", "starlet_1_err"), 1.0)
    table = declared_table("residual", [{"band": "g", "zone": "sky", "pixels": 4, **row}])
    assert table.colnames == ["band", "zone", "pixels", *row]
    assert "plane 1" in table["starlet_1"].description
