"""What bfloat16 changes is measured on the test sky, and it is little."""

import numpy as np
import pytest

from benchmarks.quality.methods import REPOSITORY
from benchmarks.quality.precision import PRECISIONS, flux_rows, pixel_rows, restored, truth_rows
from benchmarks.quality.sky import make_sky, sky_settings


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return make_sky(sky_settings("decam", 1, 400), tmp_path_factory.mktemp("sky"))


def test_fluxes_hold_to_a_thousandth_of_a_magnitude(sky):
    images = restored(sky, REPOSITORY / "models/decam")
    assert not np.array_equal(*(images[name][0] for name in PRECISIONS))
    bright = [
        row
        for row in flux_rows(sky, images)
        if row["what"] == "fluxes: mean change" and "S/N 20" in row["where"]
    ]
    assert len(bright) == 3
    assert max(abs(row["value"]) for row in bright) < 0.001
    rms = [row for row in pixel_rows(sky, images) if row["what"] == "pixels: rms difference"]
    assert 0 < max(row["value"] for row in rms) < 0.01
    errors = {(row["what"], row["where"]): row["value"] for row in truth_rows(sky, images)}
    for band in "grz":
        assert errors["error, reduced", band] == pytest.approx(errors["error, float32", band], rel=0.01)


def test_what_differs_by_nothing_is_said_to_do_so(sky):
    images = {name: [sky.scenes[0].brick.image] for name in PRECISIONS}
    found = [*pixel_rows(sky, images), *flux_rows(sky, images)]
    assert {row["value"] for row in found} == {0.0}
