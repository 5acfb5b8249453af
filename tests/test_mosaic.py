"""mosaic: every source keeps its flux, whatever bricks, pixels and blocks it falls on."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.wcs import WCS

from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError, SettingsError
from skydenoise.io import write_survey_image
from skydenoise.mosaic.mosaic import (
    MosaicInput,
    MosaicSettings,
    MosaicSummary,
    common_wcs,
    mosaic_band,
    read_grid,
)

SIZE, SCALE = 160, 0.262 / 3600
LOSSLESS = OutputSettings("lossless")
SIGMA = 2.2  # pixels of the survey: seeing of 1.36 arcsec
SMALL = MosaicSettings(block=150)


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


def write(folder: Path, name: str, wcs: WCS, image: np.ndarray, invvar: np.ndarray) -> MosaicInput:
    header = wcs.to_header()
    header["BRICKNAM"], header["MAGZERO"], header["FILTER"] = name, 22.5, "g"
    item = MosaicInput(folder / name / "image.fits.fz", folder / name / "invvar.fits.fz")
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
    inputs: list[MosaicInput], folder: Path, settings: MosaicSettings = SMALL
) -> tuple[np.ndarray, np.ndarray, WCS, MosaicSummary]:
    output, footprint = folder / "mosaic.fits", folder / "footprint.fits"
    summary = mosaic_band(inputs, output, footprint, settings, {"SDMODEL": "abc", "HISTORY": "one\ntwo"})
    with fits.open(output, checksum=True) as hdus, fits.open(footprint, checksum=True) as weights:
        return (
            hdus[0].data.astype(np.float32),
            weights[0].data.astype(np.float32),
            WCS(hdus[0].header),
            summary,
        )


def fluxes(mosaic: np.ndarray, wcs: WCS, sources: np.ndarray, radius: float = 14.0) -> np.ndarray:
    x, y = wcs.all_world2pix(sources[:, 0], sources[:, 1], 0)
    return sep.sum_circle(mosaic, x, y, radius, subpix=0)[0]


@pytest.mark.parametrize("order", ["bicubic", "bilinear"])
def test_sources_keep_their_flux_in_and_out_of_overlaps(
    order: str, inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    mosaic, weights, wcs, summary = make(inputs, tmp_path, replace(SMALL, order=order))
    assert fluxes(mosaic, wcs, sources) == pytest.approx(sources[:, 2], rel=1e-3)
    assert summary.bricks == 4
    assert summary.shape == mosaic.shape
    assert summary.covered == pytest.approx(np.mean(weights > 0))


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.1])
def test_flux_does_not_depend_on_the_pixel_scale(
    scale: float, inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    mosaic, _, wcs, _ = make(inputs, tmp_path, MosaicSettings(pixel_scale=scale, block=300))
    assert wcs.wcs.cdelt[1] * 3600 == pytest.approx(scale)
    radius = max(14 * 0.262 / scale, 6)
    tolerance = 1e-3 if scale < 1 else 5e-3  # apertures of few pixels
    assert fluxes(mosaic, wcs, sources, radius) == pytest.approx(sources[:, 2], rel=tolerance)


def test_flux_far_from_the_tangent_point(
    inputs: list[MosaicInput], sources: np.ndarray, tmp_path: Path
) -> None:
    grid = common_wcs([item.image for item in inputs])
    header = grid.header()
    far = WCS(header)
    far.wcs.crval = [far.wcs.crval[0], far.wcs.crval[1] - 3]
    x, y = far.all_world2pix(*sources[:, :2].mean(axis=0), 0)
    far.wcs.crpix -= [x - 150, y - 150]
    text = far.to_header()
    text["NAXIS1"] = text["NAXIS2"] = 300
    text.totextfile(tmp_path / "far.hdr")
    mosaic, _, wcs, _ = make(inputs, tmp_path, replace(SMALL, wcs=tmp_path / "far.hdr"))
    assert fluxes(mosaic, wcs, sources) == pytest.approx(sources[:, 2], rel=1e-3)


def test_blocks_leave_no_trace(inputs: list[MosaicInput], tmp_path: Path) -> None:
    whole, whole_weights, _, _ = make(inputs, tmp_path, replace(SMALL, block=1000))
    pieces, weights, _, _ = make(inputs, tmp_path, replace(SMALL, block=90))
    assert np.abs(pieces - whole).max() < 1e-6 * whole.max()
    assert np.array_equal(weights, whole_weights)


def test_processes_give_the_same_file(inputs: list[MosaicInput], tmp_path: Path) -> None:
    make(inputs, tmp_path)
    alone = (tmp_path / "mosaic.fits").read_bytes()
    make(inputs[::-1], tmp_path, replace(SMALL, workers=2))
    assert (tmp_path / "mosaic.fits").read_bytes() == alone


def test_a_single_brick_on_its_own_pixels_comes_back(inputs: list[MosaicInput], tmp_path: Path) -> None:
    mosaic, weights, wcs, _ = make(inputs[:1], tmp_path)
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
    mosaic, weights, _, _ = make(inputs, tmp_path)
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
    header = shifted.to_header()
    header["NAXIS1"] = header["NAXIS2"] = SIZE
    header.totextfile(tmp_path / "shifted.hdr")
    item = write(tmp_path, "a", wcs, image, invvar)
    mosaic, weights, _, _ = make([item], tmp_path, replace(SMALL, wcs=tmp_path / "shifted.hdr"))
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
    mosaic, _, wcs, _ = make(inputs, tmp_path)
    assert fluxes(mosaic, wcs, sources) == pytest.approx(sources[:, 2], rel=1e-3)


def test_header_says_what_it_is(inputs: list[MosaicInput], tmp_path: Path) -> None:
    make(inputs, tmp_path)
    for name, unit in (("mosaic", "nanomaggy"), ("footprint", "1/nanomaggy^2")):
        header = fits.getheader(tmp_path / f"{name}.fits")
        assert header["BUNIT"] == unit
        assert (header["MAGZERO"], header["FILTER"], header["SDMODEL"]) == (22.5, "g", "abc")
        assert header["NBRICKS"] == 4
        history = list(header["HISTORY"])
        assert history == ["one", "two", *(f"brick 150{index}p600" for index in range(4))]


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_fitsverify_has_no_complaint(inputs: list[MosaicInput], tmp_path: Path) -> None:
    make(inputs, tmp_path)
    for name in ("mosaic.fits", "footprint.fits"):
        done = subprocess.run(
            ["fitsverify", "-q", name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "verification OK" in done.stdout


def test_wcs_is_the_same_for_every_band_and_order(inputs: list[MosaicInput]) -> None:
    images = [item.image for item in inputs]
    first = common_wcs(images)
    assert first.header() == common_wcs(images[::-1]).header()
    assert first.header() == common_wcs([item.invvar for item in inputs]).header()


def test_wcs_file_comes_back(inputs: list[MosaicInput], tmp_path: Path) -> None:
    grid = common_wcs([item.image for item in inputs])
    grid.header().totextfile(tmp_path / "grid.hdr")
    assert read_grid(tmp_path / "grid.hdr").header() == grid.header()


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
    header = brick_wcs(200, -30).to_header()
    header["NAXIS1"] = header["NAXIS2"] = 50
    header.totextfile(tmp_path / "elsewhere.hdr")
    with pytest.raises(SettingsError, match="none of the 4 bricks touches it"):
        make(inputs, tmp_path, MosaicSettings(wcs=tmp_path / "elsewhere.hdr"))


@pytest.mark.parametrize("length", [0, 2880, 6000, 30_000])
def test_damaged_input_is_named_and_nothing_is_left(
    length: int, inputs: list[MosaicInput], tmp_path: Path
) -> None:
    inputs[2].invvar.write_bytes(inputs[2].invvar.read_bytes()[:length])
    with pytest.raises(BrickError, match=r"1502p600.*invvar\.fits\.fz"):
        make(inputs, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_weights_of_another_shape(inputs: list[MosaicInput], tmp_path: Path) -> None:
    write_survey_image(inputs[0].invvar, np.ones((50, 50), np.float32), fits.Header(), output=LOSSLESS)
    with pytest.raises(BrickError, match=r"1500p600.*shape \(50, 50\) is not the image's \(160, 160\)"):
        make(inputs, tmp_path)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"order": "lanczos"}, "order"),
        ({"pixel_scale": 0.0}, "pixel_scale"),
        ({"pixel_scale": 1.0, "wcs": Path("x")}, "pixel_scale"),
        ({"block": 0}, "block"),
        ({"workers": 0}, "workers"),
    ],
)
def test_impossible_settings(settings: dict[str, object], key: str) -> None:
    with pytest.raises(SettingsError, match=f"mosaics: .*{key}"):
        MosaicSettings(**settings)  # type: ignore[arg-type]
