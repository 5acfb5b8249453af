"""What a viewer and a validator find beside the tiles."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from mocpy import MOC
from reproject.hips import hips_as_dask_array
from small_sky import LEAST, ORDER, Sky, finest

from skydenoise.errors import StepError
from skydenoise.sky import viewer
from skydenoise.sky.found import least_scores

FORMS = {
    "creator_did": r"ivo://[\w.-]+(/[\w.-]+)+",
    "obs_title": r".+",
    "obs_description": r".+",
    "prov_progenitor": r".+",
    "dataproduct_type": "image",
    "hips_version": r"1\.4",
    "hips_release_date": r"\d{4}-\d\d-\d\dT\d\d:\d\dZ",
    "hips_status": "(private|public) (master|mirror|partial) (clonable|unclonable|clonableOnce)",
    "hips_tile_format": "png|fits",
    "hips_tile_width": "512",
    "hips_order": str(ORDER),
    "hips_frame": "equatorial",
}
"""What must or should be there, and how it looks: IVOA HiPS 1.0, 4.4.1, which calls its format 1.4."""


def properties(sky: Sky, survey: str) -> dict[str, str]:
    lines = (sky.root / survey / "properties").read_text().splitlines()
    return {key.strip(): value.strip() for key, value in (line.split("=", 1) for line in lines)}


def test_each_survey_says_what_it_is_and_where(sky: Sky) -> None:
    sky.add(sky.brick("0001p600"))
    sky.finish()
    for survey in ("input", "denoised", "flags", "input-r", "denoised-r", "sigma-r"):
        found = properties(sky, survey)
        assert [key for key, form in FORMS.items() if not re.fullmatch(form, found.get(key, ""))] == []
        values = "-" in survey
        assert found["hips_tile_format"] == ("fits" if values else "png")
        assert found.get("dataproduct_subtype") == (None if values else "color")
        moc, tiles = MOC.load(sky.root / survey / "Moc.fits", format="fits"), finest(sky, survey)
        assert moc.sky_fraction == pytest.approx(len(tiles) / (12 * 4**ORDER))
        assert float(found["moc_sky_fraction"]) == pytest.approx(moc.sky_fraction, rel=0.01)
        assert moc.contains_skycoords(SkyCoord([0.15, 10], 60, unit="deg")).tolist() == [True, False]
    assert (sky.root / "input/Norder3/Allsky.png").exists()


def test_another_reader_finds_the_pixels(sky: Sky) -> None:
    sky.add(sky.brick("0001p600", level=1.0))
    sky.finish()
    pixels, wcs = hips_as_dask_array(str(sky.root / "denoised-r"), level=3)
    x, y = wcs.world_to_pixel_values(0.15, 60.0)
    around = pixels[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].compute()
    assert np.nanmin(around) == pytest.approx(1.0, abs=0.01)


def test_the_page_lists_bricks_with_their_quality(sky: Sky) -> None:
    sky.add(replace(sky.brick("0001p600"), unmasked="SATUR_Z"), sky.brick("0002p600", 150))
    shown = sky.finish()
    assert [brick.get("unmasked") for brick in shown["bricks"]] == ["SATUR_Z", None]
    assert [brick["noise"] for brick in shown["bricks"]] == ["0.01 0.012 0.02; 0 0 0"] * 2
    sources = json.loads((sky.root / "found/000/0001p600.json").read_text())
    assert len(sources["denoised"]) == shown["bricks"][0]["denoised"] == 9
    assert shown["tiles"] == sorted(shown["tiles"])
    assert (sky.root / "index.html").exists()


def test_no_brick_is_an_error(sky: Sky) -> None:
    sky.add()
    with pytest.raises(StepError, match="no brick to show"):
        sky.finish()


def test_an_archive_with_another_digest_is_refused() -> None:
    with pytest.raises(StepError, match="do not use it"):
        viewer.check_integrity(b"something else")


def test_scores_are_those_at_which_nine_in_ten_are_true_where_that_is_known(tmp_path: Path) -> None:
    rows = [("noisy", "g", 9.0), ("noisy", "g+r", 3.8), ("denoised", "g+r", 0.8)]
    table = Table(rows=rows, names=["method", "search", "threshold"])
    table.write(tmp_path / "detection.ecsv", format="ascii.ecsv")
    assert least_scores([tmp_path / "detection.ecsv"], 5.0) == {"input": 3.8, "denoised": 0.8}
    table[:0].write(tmp_path / "empty.ecsv", format="ascii.ecsv")
    assert least_scores([tmp_path / "empty.ecsv"], 5.0) == least_scores([], 5.0) == LEAST
