import logging
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skydenoise.errors import BrickError, SettingsError, StepError
from skydenoise.io import read_brick
from skydenoise.io.fitsfile import kept_cards, read_survey_image
from skydenoise.paths import raw_file
from skydenoise.survey.external.align import celestial_wcs, grid_distance
from skydenoise.survey.external.images import import_brick, import_bricks
from skydenoise.survey.external.rows import ForeignImage, read_table
from skydenoise.survey.external.source_image import Plane, SourceError, constant_invvar, to_nanomaggies

SHAPE = (90, 110)
SIGMA = 0.02
STARS = ((30.0, 40.0, 50.0), (70.0, 62.0, 20.0))
"""x, y in pixels of the common grid, total flux in nanomaggies."""


def header(shift: tuple[float, float] = (0, 0), scale: float = 1.0) -> fits.Header:
    """TAN, north up, 0.262 arcsec / scale; a place at x of the common grid is at scale * (x + shift)."""
    wcs = fits.Header()
    for axis, ctype, value in ((1, "RA---TAN", 10.0), (2, "DEC--TAN", 20.0)):
        wcs[f"CTYPE{axis}"], wcs[f"CRVAL{axis}"] = ctype, value
        wcs[f"CRPIX{axis}"] = scale * (50 + shift[axis - 1]) + 1
    wcs["CD1_1"], wcs["CD1_2"], wcs["CD2_1"], wcs["CD2_2"] = -7.28e-5 / scale, 0.0, 0.0, 7.28e-5 / scale
    wcs["BUNIT"] = "nanomaggy"
    return wcs


def scene(
    shape: tuple[int, int] = SHAPE, shift: tuple[float, float] = (0, 0), scale: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Two Gaussian stars of the same total flux on any grid, and white noise."""
    y, x = np.indices(shape)
    image = np.random.default_rng(seed).normal(0, SIGMA, shape)
    width = 2.0 * scale
    for x0, y0, flux in STARS:
        radius2 = (x - scale * (x0 + shift[0])) ** 2 + (y - scale * (y0 + shift[1])) ** 2
        image += flux * np.exp(-radius2 / (2 * width**2)) / (2 * np.pi * width**2)
    return image.astype(np.float32)


def write(path: Path, data: np.ndarray, cards: fits.Header) -> Path:
    fits.PrimaryHDU(data, cards).writeto(path)
    return path


def flux(image: np.ndarray, x: float, y: float, radius: float = 10) -> float:
    yy, xx = np.indices(image.shape)
    return float(image[np.hypot(xx - x, yy - y) < radius].sum())


def centroid(image: np.ndarray, x: float, y: float) -> tuple[float, float]:
    yy, xx = np.indices(image.shape)
    weight = np.where(np.hypot(xx - x, yy - y) < 6, image, 0)
    return float((weight * xx).sum() / weight.sum()), float((weight * yy).sum() / weight.sum())


def test_a_table_is_read_with_paths_relative_to_it(tmp_path: Path) -> None:
    table = tmp_path / "images.tsv"
    table.write_text(
        "# made by hand\nbrick\tband\timage\thdu\tplane\tunits\tinvvar\n"
        "NGC-1\tr\tr.fits\t\t\t\t\nNGC-1\tz\tsub/z.fits\t1\t2\tuJy\tweight.fits\n"
    )
    assert read_table(table) == [
        ForeignImage("NGC-1", "r", tmp_path / "r.fits"),
        ForeignImage("NGC-1", "z", tmp_path / "sub/z.fits", 1, 2, "uJy", tmp_path / "weight.fits"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("brick\tband\n", "column image is missing"),
        ("brick\timage\nx\ta.fits\n", "a.fits: column band is missing or empty; or, if this is a stack"),
        ("brick\tband\timage\nx\t\ta.fits\n", "column band is missing or empty"),
        (
            "brick\timage\nx\ta.emd\n",
            "a.emd is of no known kind; known are images of the sky (FITS) and",
        ),
        ("brick\tband\timage\nx\tr\ta.emd\n", "a.emd is of no known kind"),
        ("brick\timage\nx\ta.tif\nx\tb.tif\n", "stack x is listed twice"),
        ("brick\tband\timage\tunit\n", "unknown column unit"),
        ("brick\tband\timage\n../x\tr\ta.fits\n", "'../x' is not of the form"),
        ("brick\tband\timage\nx\tr/z\ta.fits\n", "'r/z' is not of the form"),
        ("brick\tband\timage\nx\tr\t\n", "path is missing"),
        ("brick\tband\timage\thdu\nx\tr\ta.fits\t-1\n", "hdu '-1' is not a number"),
        ("brick\tband\timage\nx\tr\ta.fits\nx\tr\tb.fits\n", "brick x has band r twice"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_table(tmp_path / "t.tsv")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("unit", "bunit", "factor"),
    [
        ("", "nanomaggy", 1),
        ("", "nanomaggies", 1),
        ("nMgy", "adu", 1),
        ("", "uJy", 1 / 3.631),
        ("", "mJy/pixel", 1000 / 3.631),
        ("Jy/pix", "", 1e6 / 3.631),
        ("", "MJy/sr", 1e12 / 3.631e0 * (np.deg2rad(7.28e-5)) ** 2),
        ("0.25", "adu", 0.25),
        ("native", "adu", 1),
    ],
)
def test_units_become_nanomaggies(unit: str, bunit: str, factor: float) -> None:
    cards = header()
    cards["BUNIT"], cards["MAGZERO"] = bunit, 25.0
    plane, found = to_nanomaggies(Plane(np.ones((4, 5)), cards), unit)
    assert found == pytest.approx(factor, rel=1e-6)
    np.testing.assert_allclose(plane.pixels, factor, rtol=1e-6)
    if factor != 1:
        assert (plane.header["BUNIT"], plane.header["MAGZERO"]) == ("nanomaggy", 22.5)
    else:
        assert plane.header["BUNIT"] == bunit


@pytest.mark.parametrize("unit", ["", "adu", "Jy/beam", "furlong", "0", "-1", "nan", "erg/s/cm2/AA"])
def test_unknown_units_are_refused_with_a_remedy(unit: str) -> None:
    cards = header()
    del cards["BUNIT"]
    with pytest.raises(SourceError, match="units") as caught:
        to_nanomaggies(Plane(np.ones((4, 5)), cards), unit)
    assert "give the column units" in str(caught.value.remedy)


def test_bands_on_one_grid_come_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [
        ForeignImage("A", band, write(tmp_path / f"{band}.fits", scene(seed=seed), header()))
        for seed, band in enumerate("riz")
    ]
    with caplog.at_level(logging.INFO):
        entry = import_brick(images, "A", ["r", "i", "z"], tmp_path)
    assert (entry.state, entry.files, len(entry.sha256)) == ("done", 6, 64)
    brick = read_brick(tmp_path, "A", ["r", "i", "z"])
    for seed, (image, invvar) in enumerate(zip(brick.image, brick.invvar, strict=True)):
        np.testing.assert_array_equal(image, scene(seed=seed))
        np.testing.assert_allclose(invvar**-0.5, SIGMA, rtol=0.05)
    assert "constant noise" in caplog.text
    assert "resampled" not in caplog.text
    own = [card.image for card in kept_cards(header())]
    assert [card.image for card in kept_cards(brick.headers[1])][: len(own)] == own


@pytest.mark.parametrize(
    ("shift", "scale", "shape"),
    [((3.3, -2.6), 1.0, SHAPE), ((0.0, 0.0), 1.5, (140, 170)), ((0.4, 0.2), 0.5, (60, 70))],
    ids=["shifted", "finer pixels", "coarser pixels"],
)
def test_bands_on_other_grids_are_aligned_with_their_flux(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    shift: tuple[float, float],
    scale: float,
    shape: tuple[int, int],
) -> None:
    images = [
        ForeignImage("A", "r", write(tmp_path / "r.fits", scene(), header())),
        ForeignImage(
            "A", "z", write(tmp_path / "z.fits", scene(shape, shift, scale, 1), header(shift, scale))
        ),
    ]
    with caplog.at_level(logging.INFO):
        import_brick(images, "A", ["r", "z"], tmp_path)
    assert "band z: resampled onto the first band's grid" in caplog.text
    brick = read_brick(tmp_path, "A", ["r", "z"])
    assert celestial_wcs(brick.headers[1]).wcs.compare(celestial_wcs(brick.headers[0]).wcs)
    for x, y, total in STARS:
        assert flux(brick.image[1], x, y) == pytest.approx(total, rel=0.02, abs=1)
        assert centroid(brick.image[1], x, y) == pytest.approx((x, y), abs=0.1)
    noise = SIGMA * scale  # of one pixel of the first grid, before interpolation averages
    assert np.median(brick.invvar[1]) ** -0.5 == pytest.approx(noise * scale, rel=0.1)


def test_what_lies_outside_or_is_nan_has_no_data(tmp_path: Path) -> None:
    data = scene(shift=(10, 0), seed=1)
    data[50:53, 50:53] = np.nan
    images = [
        ForeignImage("A", "r", write(tmp_path / "r.fits", scene(), header())),
        ForeignImage("A", "z", write(tmp_path / "z.fits", data, header((10, 0)))),
    ]
    import_brick(images, "A", ["r", "z"], tmp_path)
    brick = read_brick(tmp_path, "A", ["r", "z"])
    assert (brick.invvar[1][:, 102:] == 0).all()
    assert (brick.invvar[1][50:53, 40:43] == 0).all()
    assert (brick.image[1][brick.invvar[1] == 0] == 0).all()
    assert (brick.invvar[1][5:40, 5:95] > 0).all()


def test_a_mask_is_aligned_with_its_band(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, np.int32)
    mask[30:35, 50:55] = 1
    images = [
        ForeignImage("A", "r", write(tmp_path / "r.fits", scene(), header())),
        ForeignImage(
            "A",
            "z",
            write(tmp_path / "z.fits", scene(shift=(10, 4)), header((10, 4))),
            mask=write(tmp_path / "m.fits", mask, fits.Header()),
        ),
    ]
    import_brick(images, "A", ["r", "z"], tmp_path)
    expected = np.zeros((2, *SHAPE), bool)
    expected[1, 26:31, 40:45] = True
    np.testing.assert_array_equal(read_brick(tmp_path, "A", ["r", "z"]).masked, expected)


def test_a_plane_of_a_cube_with_invvar_and_mask(tmp_path: Path) -> None:
    cards = header()
    cards["CTYPE3"], cards["CRPIX3"], cards["CRVAL3"], cards["CDELT3"] = "BAND", 1.0, 1.0, 1.0
    cube = np.stack([scene(seed=seed) for seed in range(3)])
    weight = np.full(SHAPE, 2500, np.float32)
    weight[3, 4] = np.nan
    mask = np.zeros(SHAPE, np.int16)
    mask[7, 8] = 4
    path = write(tmp_path / "cube.fits", cube, cards)
    image = ForeignImage(
        "A",
        "i",
        path,
        plane=2,
        units="2",
        invvar=write(tmp_path / "w.fits", weight, fits.Header()),
        mask=write(tmp_path / "m.fits", mask, fits.Header()),
    )
    import_brick([image], "A", ["i"], tmp_path)
    brick = read_brick(tmp_path, "A", ["i"])
    expected = 2 * cube[2]
    expected[3, 4] = 0
    np.testing.assert_allclose(brick.image[0], expected, rtol=1e-6)
    assert brick.invvar[0, 10, 10] == 625
    assert brick.invvar[0, 3, 4] == 0
    assert np.argwhere(brick.masked).tolist() == [[0, 7, 8]]
    assert WCS(brick.headers[0]).naxis == 2


def test_distortions_of_the_wcs_are_kept(tmp_path: Path) -> None:
    cards = header()
    cards["CTYPE1"], cards["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    cards["A_ORDER"], cards["B_ORDER"], cards["A_2_0"], cards["B_0_2"] = 2, 2, 1e-4, 2e-4
    import_brick([ForeignImage("A", "r", write(tmp_path / "r.fits", scene(), cards))], "A", ["r"], tmp_path)
    _, found = read_survey_image(raw_file(tmp_path, "A", "image", "r"))
    assert grid_distance(celestial_wcs(found), celestial_wcs(cards), SHAPE) < 1e-6
    assert grid_distance(celestial_wcs(found), celestial_wcs(header()), SHAPE) > 0.1


def test_a_second_import_keeps_what_is_there_until_a_file_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "r.fits", scene(), header())
    images = [ForeignImage("A", "r", path)]
    first = import_brick(images, "A", ["r"], tmp_path)
    second = import_brick(images, "A", ["r"], tmp_path)
    assert (first.state, second.state) == ("done", "kept")
    assert first.sha256 == second.sha256
    path.unlink()
    write(path, scene(seed=9), header())
    assert import_brick(images, "A", ["r"], tmp_path).state == "done"


def test_a_bad_brick_does_not_stop_the_others(tmp_path: Path) -> None:
    good = write(tmp_path / "r.fits", scene(), header())
    bare = write(tmp_path / "bare.fits", scene(), fits.Header({"BUNIT": "nanomaggy"}))
    cut = tmp_path / "cut.fits"
    cut.write_bytes(good.read_bytes()[:20000])
    empty = tmp_path / "empty.fits"
    empty.write_bytes(b"")
    dark = -np.ones(SHAPE, np.float32)
    dark[::2] = 0
    far = header()
    far["CRVAL1"] = 100.0
    images = [
        ForeignImage("good", "r", good),
        ForeignImage("good", "z", good),
        ForeignImage("bare", "r", bare),
        ForeignImage("bare", "z", good),
        ForeignImage("cut", "r", good),
        ForeignImage("cut", "z", cut),
        ForeignImage("gone", "r", tmp_path / "gone.fits"),
        ForeignImage("gone", "z", good),
        ForeignImage("lonely", "r", good),
        ForeignImage("far", "r", good),
        ForeignImage("far", "z", write(tmp_path / "far.fits", scene(), far)),
        ForeignImage("flat", "r", write(tmp_path / "flat.fits", np.ones(SHAPE, np.float32), header())),
        ForeignImage("flat", "z", good),
        ForeignImage("cube", "r", write(tmp_path / "cube.fits", np.ones((2, *SHAPE), np.float32), header())),
        ForeignImage("cube", "z", good),
        ForeignImage("empty", "r", good),
        ForeignImage("empty", "z", empty),
        ForeignImage("dark", "r", good),
        ForeignImage("dark", "z", good, invvar=write(tmp_path / "dark.fits", dark, header())),
        ForeignImage("nan", "r", write(tmp_path / "nan.fits", np.full(SHAPE, np.nan), header())),
        ForeignImage("nan", "z", good),
        ForeignImage("shape", "r", good, invvar=write(tmp_path / "less.fits", dark[:-1], header())),
        ForeignImage("shape", "z", good),
    ]
    names = [*dict.fromkeys(image.brick for image in images if image.brick != "good"), "good"]
    entries = {entry.brick: entry for entry in import_bricks(images, names, ["r", "z"], tmp_path / "raw")}
    assert entries["good"].state == "done"
    for name, band, cause in (
        ("bare", "r", "no usable WCS"),
        ("cut", "z", "truncated"),
        ("gone", "r", "No such file"),
        ("lonely", "z", "not in the table"),
        ("far", "z", "does not overlap the first band"),
        ("flat", "r", "no noise can be measured"),
        ("cube", "r", "give the column plane"),
        ("empty", "z", "mpty"),
        ("dark", "z", "no valid pixel (nowhere a finite value with invvar above 0)"),
        ("nan", "r", "no valid pixel"),
        ("shape", "r", "is not the image's"),
    ):
        assert entries[name].state == "skipped"
        assert entries[name].reason.startswith(f"brick {name}, band {band}")
        assert cause in entries[name].reason
        assert "\n" not in entries[name].reason
        assert not (tmp_path / "raw" / name[:3] / name).exists()


def test_a_full_disk_is_no_fault_of_the_bricks(tmp_path: Path, full_disk) -> None:
    image = ForeignImage("A", "r", write(tmp_path / "r.fits", scene(), header()))
    with full_disk(), pytest.raises(StepError, match="no space left") as caught:
        import_bricks([image], ["A"], ["r"], tmp_path / "raw")
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "raw").rglob("*") if path.is_file()]


def test_constant_noise_ignores_sources_and_gradients() -> None:
    ramp = np.linspace(0, 1, 200)[:, np.newaxis]
    pixels = np.random.default_rng(3).normal(0, 0.5, (200, 300)) + ramp
    pixels[20:40, 20:60] += 50
    pixels[0, 0], pixels[1, 1] = np.nan, 0
    invvar = constant_invvar(pixels)
    assert invvar.max() ** -0.5 == pytest.approx(0.5, rel=0.05)
    assert invvar[0, 0] == invvar[1, 1] == 0
    with pytest.raises(SourceError, match="no valid pixel"):
        constant_invvar(np.zeros((5, 5)))


def test_a_brick_error_is_raised_for_one_brick(tmp_path: Path) -> None:
    with pytest.raises(BrickError, match="brick A, band r: not in the table"):
        import_brick([], "A", ["r"], tmp_path)
