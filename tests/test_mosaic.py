"""mosaic: every source keeps its flux, whatever bricks, pixels and blocks it falls on."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.wcs import WCS

from skydenoise import resample
from skydenoise.config import MosaicSettings, OutputSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.io import write_survey_image
from skydenoise.mosaic import MosaicInput, common_grid, mosaic_band, read_grid

SIZE, SCALE = 160, 0.262 / 3600
LOSSLESS = OutputSettings("lossless")
SIGMA = 2.2  # pixels of the survey: seeing of 1.36 arcsec
ANY = MosaicSettings()


def brick_wcs(ra: float, dec: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [SIZE / 2 + 0.5] * 2
    wcs.wcs.cd = [[-SCALE, 0], [0, SCALE]]
    return wcs


@pytest.fixture
def centres() -> list[tuple[float, float]]:
    """Neighbours at declination 60, 100 pixels apart: they overlap by 60."""
    return [
        (150 + column * 100 * SCALE / np.cos(np.pi / 3), 60 + row * 100 * SCALE)
        for row in (0, 1)
        for column in (0, 1)
    ]


@pytest.fixture
def sources(centres: list[tuple[float, float]]) -> np.ndarray:
    """(source, 3): right ascension, declination, flux; in overlaps of four and of two, and in one brick."""
    (ra0, dec0), (ra1, dec1) = centres[0], centres[3]
    places = [(0.5, 0.5), (0.5, 0.05), (0.03, 0.48), (1.0, 1.0), (0.0, 0.0), (0.52, 0.95), (1.35, 0.75)]
    fluxes = [30.0, 5.0, 12.0, 80.0, 3.0, 20.0, 7.0]
    return np.array(
        [
            (ra0 + x * (ra1 - ra0), dec0 + y * (dec1 - dec0), f)
            for (x, y), f in zip(places, fluxes, strict=True)
        ]
    )


def sky(wcs: WCS, shape: tuple[int, int], sources: np.ndarray, sigma: float = SIGMA) -> np.ndarray:
    y, x = np.indices(shape)
    image = np.zeros(shape)
    for ra, dec, flux in sources:
        x0, y0 = wcs.all_world2pix(ra, dec, 0)
        image += flux * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 2 / sigma**2) / (2 * np.pi * sigma**2)
    return image.astype(np.float32)


def write(
    folder: Path, name: str, wcs: WCS, image: np.ndarray, invvar: np.ndarray, unit: str = "nanomaggy"
) -> MosaicInput:
    header = wcs.to_header()
    header["BUNIT"], header["MAGZERO"], header["FILTER"] = unit, 22.5, "g"
    item = MosaicInput(name, "g", folder / name / "image.fits.fz", folder / name / "invvar.fits.fz")
    for path, data in ((item.image, image), (item.invvar, invvar)):
        write_survey_image(path, data.astype(np.float32), header, output=LOSSLESS)
    return item


@pytest.fixture
def inputs(tmp_path: Path, centres: list[tuple[float, float]], sources: np.ndarray) -> list[MosaicInput]:
    generator = np.random.default_rng(3)
    items = []
    for index, (ra, dec) in enumerate(centres):
        wcs = brick_wcs(ra, dec)
        invvar = generator.uniform(500, 2000, (SIZE, SIZE)) * (index + 1)
        items.append(write(tmp_path, f"150{index}p600", wcs, sky(wcs, (SIZE, SIZE), sources), invvar))
    return items


def make(
    inputs: list[MosaicInput], folder: Path, settings: MosaicSettings = ANY
) -> tuple[np.ndarray, np.ndarray, WCS]:
    output, invvar = folder / "mosaic.fits", folder / "invvar.fits"
    mosaic_band(inputs, output, invvar, settings, {"SDMODEL": "abc"})
    with fits.open(output, checksum=True) as hdus, fits.open(invvar, checksum=True) as weights:
        return hdus[0].data.astype(np.float32), weights[0].data.astype(np.float32), WCS(hdus[0].header)


def text_header(wcs: WCS, shape: tuple[int, int], path: Path) -> Path:
    header = wcs.to_header(relax=True)
    header["NAXIS2"], header["NAXIS1"] = shape
    header.totextfile(path)
    return path


def fluxes(mosaic: np.ndarray, wcs: WCS, sources: np.ndarray, radius: float = 14.0) -> np.ndarray:
    x, y = wcs.all_world2pix(sources[:, 0], sources[:, 1], 0)
    return sep.sum_circle(mosaic, x, y, radius, subpix=0)[0]


def test_sources_keep_their_flux_in_and_out_of_overlaps(
    inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    mosaic, _, wcs = make(inputs, tmp_path)
    assert fluxes(mosaic, wcs, sources) == pytest.approx(sources[:, 2], rel=1e-3)


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


def test_header_says_what_it_is(inputs: list[MosaicInput], tmp_path: Path) -> None:
    make(inputs, tmp_path)
    for name, unit in (("mosaic", "nanomaggy"), ("invvar", "1/nanomaggy^2")):
        header = fits.getheader(tmp_path / f"{name}.fits")
        assert header["BUNIT"] == unit
        assert (header["MAGZERO"], header["FILTER"], header["SDMODEL"]) == (22.5, "g", "abc")
        assert header["NBRICKS"] == 4
        assert list(header["HISTORY"]) == [f"brick 150{index}p600" for index in range(4)]


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_fitsverify_has_no_complaint(inputs: list[MosaicInput], tmp_path: Path) -> None:
    make(inputs, tmp_path)
    for name in ("mosaic.fits", "invvar.fits"):
        done = subprocess.run(
            ["fitsverify", "-q", name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "verification OK" in done.stdout


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


def test_no_brick_at_all_or_none_inside(inputs: list[MosaicInput], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no brick to make a mosaic of"):
        make([], tmp_path)
    elsewhere = text_header(brick_wcs(200, -30), (50, 50), tmp_path / "elsewhere.hdr")
    with pytest.raises(SettingsError, match="none of the 4 bricks touches it"):
        make(inputs, tmp_path, MosaicSettings(wcs=elsewhere))


def test_bricks_that_lack_the_band_have_their_place_and_no_weight(
    inputs: list[MosaicInput], tmp_path: Path
) -> None:
    lacking = [replace(item, image=None, invvar=tmp_path / "none", place=item.image) for item in inputs]
    whole, weight, wcs = make(inputs, tmp_path)
    image, invvar, same = make([*lacking[:1], *inputs[1:]], tmp_path)
    assert image.shape == whole.shape
    assert same.to_header() == wcs.to_header()
    assert 0 < (invvar > 0).sum() < (weight > 0).sum()
    history = str(fits.getheader(tmp_path / "mosaic.fits")["HISTORY"])
    assert f"not observed in this band: {lacking[0].brick}" in history
    image, invvar, _ = make(lacking, tmp_path)
    assert image.shape == whole.shape
    assert not image.any()
    assert not invvar.any()


def cut(item: MosaicInput) -> None:
    item.invvar.write_bytes(item.invvar.read_bytes()[:6000])


def empty(item: MosaicInput) -> None:
    item.image.write_bytes(b"")


def flip_a_bit(item: MosaicInput) -> None:
    content = bytearray(item.image.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    item.image.write_bytes(content)


def unknown_projection(item: MosaicInput) -> None:
    header = fits.getheader(item.image, 1)
    header["CTYPE1"], header["CTYPE2"] = "RA---XYZ", "DEC--XYZ"
    write_survey_image(item.image, np.ones((SIZE, SIZE), np.float32), header, output=LOSSLESS)


def another_shape(item: MosaicInput) -> None:
    header = fits.getheader(item.invvar, 1)
    write_survey_image(item.invvar, np.ones((50, 50), np.float32), header, output=LOSSLESS)


def another_unit(item: MosaicInput) -> None:
    header = fits.getheader(item.image, 1)
    header["BUNIT"] = "adu"
    write_survey_image(item.image, np.ones((SIZE, SIZE), np.float32), header, output=LOSSLESS)


@pytest.mark.parametrize(
    ("harm", "file", "cause"),
    [
        (cut, "invvar", "cannot be read"),
        (empty, "image", "cannot be read"),
        (flip_a_bit, "image", "its CHECKSUM does not hold"),
        (unknown_projection, "image", "Unrecognized projection code"),
        (another_shape, "invvar", r"shape \(50, 50\) is not the image's \(160, 160\)"),
        (another_unit, "image", "its unit is adu, that of the others nanomaggy"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_brick_is_left_out_and_named(
    harm: Callable[[MosaicInput], None],
    file: str,
    cause: str,
    inputs: list[MosaicInput],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    harm(inputs[0])
    mosaic, weights, _ = make(inputs, tmp_path)
    assert re.search(rf"brick 1500p600, band g, .*/1500p600/{file}\.fits\.fz: .*{cause}", caplog.text)
    history = list(fits.getheader(tmp_path / "mosaic.fits")["HISTORY"])
    assert history == [*(f"brick 150{index}p600" for index in (1, 2, 3)), "left out: 1500p600"]
    without, weights_without, _ = make(inputs[1:], tmp_path, grid_of(inputs, tmp_path))
    assert np.array_equal(mosaic, without)
    assert np.array_equal(weights, weights_without)


def grid_of(inputs: list[MosaicInput], folder: Path) -> MosaicSettings:
    grid = common_grid(inputs)
    return MosaicSettings(wcs=text_header(grid, grid.array_shape, folder / "grid.hdr"))


def test_nothing_is_left_if_no_brick_can_be_used(inputs: list[MosaicInput], tmp_path: Path) -> None:
    for item in inputs:
        flip_a_bit(item)
    with pytest.raises(StepError, match=r"no brick can be used, the first: brick 1500p600, band g") as caught:
        make(inputs, tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_full_disk_is_one_line(inputs: list[MosaicInput], tmp_path: Path, full_disk) -> None:
    with full_disk(), pytest.raises(StepError, match="MB are needed") as caught:
        make(inputs, tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_the_unit_of_the_bricks_is_kept(tmp_path: Path) -> None:
    plane = np.ones((SIZE, SIZE))
    make([write(tmp_path, "a", brick_wcs(10, 0), plane, plane, "adu")], tmp_path)
    units = [fits.getheader(tmp_path / f"{name}.fits")["BUNIT"] for name in ("mosaic", "invvar")]
    assert units == ["adu", "1/adu^2"]


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
