"""mosaic: sources keep their flux and pixels their weight, whatever bricks and strips they fall on."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from mosaic_bricks import SIZE, brick_wcs, fluxes, make, text_header, write
from small_brick import LOSSLESS

from skydenoise import resample
from skydenoise.config import MosaicSettings
from skydenoise.io import write_survey_image
from skydenoise.mosaic import MosaicInput


def test_sources_keep_their_flux_in_and_out_of_overlaps(
    inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    mosaic, _, wcs = make(inputs, tmp_path)
    assert fluxes(mosaic, wcs, sources) == pytest.approx(sources[:, 2], rel=1e-3)


@pytest.mark.parametrize("scale", [0.262, 0.6])
def test_strips_leave_no_trace(
    scale: float, inputs: list[MosaicInput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, whole_weights, _ = make(inputs, tmp_path, MosaicSettings(pixel_scale=scale))
    monkeypatch.setattr(resample, "SAMPLES", 5000)
    pieces, weights, _ = make(inputs, tmp_path, MosaicSettings(pixel_scale=scale))
    assert np.abs(pieces - whole).max() < 1e-6 * whole.max()
    assert weights == pytest.approx(whole_weights, rel=1e-6)


def test_the_order_of_bricks_does_not_matter(inputs: list[MosaicInput], tmp_path: Path) -> None:
    make(inputs, tmp_path)
    first = (tmp_path / "mosaic.fits").read_bytes()
    make(inputs[::-1], tmp_path)
    assert (tmp_path / "mosaic.fits").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "invvar.fits",
        "mosaic.fits",
    ]


def test_a_single_brick_on_its_own_pixels_comes_back(inputs: list[MosaicInput], tmp_path: Path) -> None:
    mosaic, weights, wcs = make(inputs[:1], tmp_path)
    with fits.open(inputs[0].image) as image, fits.open(inputs[0].invvar) as invvar:
        assert mosaic.shape == (SIZE, SIZE)
        assert np.abs(mosaic - image[1].data).max() < 1e-5 * mosaic.max()
        assert weights == pytest.approx(invvar[1].data, rel=1e-6)
        assert wcs.wcs.crval == pytest.approx(WCS(image[1].header).wcs.crval)


def test_weights_decide_in_the_overlap_and_do_not_add(tmp_path: Path) -> None:
    wcs = brick_wcs(10, 0)
    planes = [(1.0, 100.0), (4.0, 300.0)]
    inputs = [
        write(tmp_path, name, wcs, np.full((SIZE, SIZE), value), np.full((SIZE, SIZE), weight))
        for name, (value, weight) in zip("ab", planes, strict=True)
    ]
    mosaic, weights, _ = make(inputs, tmp_path)
    assert mosaic == pytest.approx((1 * 100 + 4 * 300) / 400, rel=1e-5)
    assert weights == pytest.approx((100**2 + 300**2) / 400, rel=1e-5)


def test_no_data_stays_zero_and_spreads_nothing(tmp_path: Path) -> None:
    wcs = brick_wcs(10, 0)
    image, invvar = np.full((SIZE, SIZE), 2.0), np.full((SIZE, SIZE), 100.0)
    image[40:60, 50:90], invvar[40:60, 50:90] = 0, 0
    image[100, 100], invvar[100, 100] = 1e4, 0  # a cosmic ray
    image[120, 30] = np.nan
    invvar[121, 40] = -1
    shifted = wcs.deepcopy()
    shifted.wcs.crpix += 0.4
    given = MosaicSettings(wcs=text_header(shifted, (SIZE, SIZE), tmp_path / "shifted.hdr"))
    mosaic, weights, _ = make([write(tmp_path, "a", wcs, image, invvar)], tmp_path, given)
    assert np.array_equal(mosaic == 0, weights == 0)
    assert np.count_nonzero(weights[1:-1, 1:-1] == 0) == 20 * 40 + 3
    assert mosaic[weights > 0] == pytest.approx(2.0, rel=1e-5)


def test_neighbour_fills_the_hole_of_a_brick(
    inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    ra, dec, _ = sources[0]  # in the overlap of four
    with fits.open(inputs[0].invvar) as hdus:
        header, invvar = hdus[1].header, hdus[1].data
    x, y = (int(value) for value in WCS(header).all_world2pix(ra, dec, 0))
    invvar[y - 3 : y + 4, x - 3 : x + 4] = 0
    write_survey_image(inputs[0].invvar, invvar, header, output=LOSSLESS)
    mosaic, _, wcs = make(inputs, tmp_path)
    assert fluxes(mosaic, wcs, sources) == pytest.approx(sources[:, 2], rel=1e-3)


@pytest.mark.parametrize("scale", [0.131, 0.262, 0.786])
def test_invvar_is_that_of_a_pixel_of_the_mosaic(scale: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(5).normal(0, 0.1, (SIZE, SIZE))
    item = write(tmp_path, "a", brick_wcs(10, 0), noise, np.full((SIZE, SIZE), 100.0))
    mosaic, invvar, _ = make([item], tmp_path, MosaicSettings(pixel_scale=scale))
    inner = (slice(8, -8), slice(8, -8))
    # a spline takes some of the noise between the pixels
    assert mosaic[inner].std() == pytest.approx(
        np.median(invvar[inner]) ** -0.5, rel=0.35 if scale < 0.2 else 0.1
    )
