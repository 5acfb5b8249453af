"""mosaic: the grid is the bricks' own or the one given, and sources lie on it where its WCS says."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from mosaic_bricks import SIZE, brick_wcs, fluxes, make, sky, text_header, write

from skydenoise.config import MosaicSettings
from skydenoise.errors import SettingsError
from skydenoise.mosaic import MosaicInput, common_grid, read_grid


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.1])
def test_flux_does_not_depend_on_the_pixel_scale(
    scale: float, inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    mosaic, _, wcs = make(inputs, tmp_path, MosaicSettings(pixel_scale=scale))
    assert wcs.wcs.cdelt[1] * 3600 == pytest.approx(scale)
    radius = max(14 * 0.262 / scale, 6)
    tolerance = 1e-3 if scale < 1 else 5e-3  # apertures of few pixels
    assert fluxes(mosaic, wcs, sources, radius) == pytest.approx(sources[:, 2], rel=tolerance)


def test_flux_far_from_the_tangent_point(
    inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    far = common_grid(inputs)
    far.wcs.crval = [far.wcs.crval[0], far.wcs.crval[1] - 3]
    x, y = far.all_world2pix(*sources[:, :2].mean(axis=0), 0)
    far.wcs.crpix -= [x - 150, y - 150]
    given = MosaicSettings(wcs=text_header(far, (300, 300), tmp_path / "far.hdr"))
    mosaic, _, wcs = make(inputs, tmp_path, given)
    assert fluxes(mosaic, wcs, sources) == pytest.approx(sources[:, 2], rel=1e-3)


@pytest.mark.parametrize(
    ("places", "stars"),
    [
        ([(359.999, 60.0), (0.012, 60.0)], [(359.998, 60.0), (0.0055, 60.001), (0.013, 59.999)]),
        ([(ra, 89.998) for ra in (0.0, 90.0, 200.0)], [(45.0, 89.9985), (280.0, 89.9985), (200.0, 89.9965)]),
        ([(10.0, -90.0), (30.0, -89.995)], [(120.0, -89.9985), (30.0, -89.995)]),
    ],
    ids=["over RA 0", "north pole", "south pole"],
)
def test_flux_where_right_ascensions_meet(
    places: list[tuple[float, float]], stars: list[tuple[float, float]], tmp_path: Path
) -> None:
    known = np.array([(ra, dec, 10.0 + k) for k, (ra, dec) in enumerate(stars)])
    items = []
    for index, (ra, dec) in enumerate(places):
        wcs = brick_wcs(ra, dec)
        image = sky(wcs, (SIZE, SIZE), known)
        items.append(write(tmp_path, f"000{index}p890", wcs, image, np.full((SIZE, SIZE), 100.0)))
    mosaic, _, wcs = make(items, tmp_path)
    assert max(mosaic.shape) < 3 * SIZE
    assert fluxes(mosaic, wcs, known) == pytest.approx(known[:, 2], rel=1e-3)


def test_wcs_is_the_same_for_every_band_and_order(inputs: list[MosaicInput]) -> None:
    first = common_grid(inputs)
    other = common_grid(inputs[::-1])
    assert (first.to_header(), first.array_shape) == (other.to_header(), other.array_shape)
    inputs[1].invvar.write_bytes(b"damaged")
    inputs[2].image.write_bytes(b"damaged in one band alone")
    assert common_grid(inputs).to_header() == first.to_header()


def test_wcs_file_comes_back(inputs: list[MosaicInput], tmp_path: Path) -> None:
    grid = common_grid(inputs)
    found = read_grid(text_header(grid, grid.array_shape, tmp_path / "grid.hdr"))
    assert (found.to_header(), found.array_shape) == (grid.to_header(), grid.array_shape)


@pytest.mark.parametrize("text", [None, "", "NAXIS1  = 5\nNAXIS2  = 5\n", "NAXIS1  = 0\nNAXIS2  = 5\n"])
def test_wcs_file_that_is_none(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "grid.hdr"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=r"mosaics: wcs .*grid\.hdr") as caught:
        read_grid(path)
    assert "\n" not in str(caught.value)


IRAC = {
    "A_0_2": 2.9e-6, "A_1_1": 2.2e-5, "A_2_0": -2.1e-5, "A_3_0": -1.5e-7,
    "B_0_2": 2.1e-5, "B_1_1": -2.3e-5, "B_2_0": -7e-6, "B_1_2": 1e-9,
}  # fmt: skip
"""The distortion of a frame of Spitzer IRAC, channel 1, in part."""

TPV = {f"PV{axis}_{number}": value for axis in (1, 2) for number, value in ((1, 1.0), (4, 0.5), (6, 0.3))}


@pytest.mark.parametrize("distortion", ["SIP", "TPV"])
def test_stars_lie_where_a_distorted_grid_says(
    distortion: str, inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    ra, dec, _ = sources[0]
    header = fits.Header({"CRVAL1": ra, "CRVAL2": dec - 0.06, "CRPIX1": 45.0, "CRPIX2": -145.0})
    header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = -1.22 / 3600, 0.0, 0.0, 1.22 / 3600
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    plain = WCS(header)
    end = "TAN-SIP" if distortion == "SIP" else "TPV"
    header["CTYPE1"], header["CTYPE2"] = f"RA---{end}", f"DEC--{end}"
    header.update({"A_ORDER": 3, "B_ORDER": 3, **IRAC} if distortion == "SIP" else TPV)
    header["NAXIS1"] = header["NAXIS2"] = 100
    header.totextfile(tmp_path / "given.hdr")
    mosaic, _, wcs = make(inputs, tmp_path, MosaicSettings(wcs=tmp_path / "given.hdr"))
    x, y = wcs.all_world2pix(sources[:, 0], sources[:, 1], 0)
    assert np.hypot(*(plain.wcs_world2pix(sources[:, :2], 0).T - [x, y])).max() > 0.5  # a strong distortion
    grid = np.indices(mosaic.shape)
    for x0, y0, flux in zip(x, y, sources[:, 2], strict=True):
        if min(x0, y0, 99 - x0, 99 - y0) > 8:
            near = np.where(np.hypot(grid[1] - x0, grid[0] - y0) < 5, mosaic, 0)
            assert near.sum() == pytest.approx(flux, rel=5e-3)
            assert (near * grid[1]).sum() / near.sum() == pytest.approx(x0, abs=0.02)
            assert (near * grid[0]).sum() / near.sum() == pytest.approx(y0, abs=0.02)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"pixel_scale": 0.0}, "pixel_scale"),
        ({"pixel_scale": 1.0, "wcs": Path("x")}, "pixel_scale"),
    ],
)
def test_impossible_settings(settings: dict[str, object], key: str) -> None:
    with pytest.raises(SettingsError, match=f"mosaics: .*{key}"):
        MosaicSettings(**settings)  # type: ignore[arg-type]
