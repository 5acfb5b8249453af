import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from external_images import SHAPE, SIGMA, STARS, header, scene, write

from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError, StepError
from skydenoise.image_table import ListedImage
from skydenoise.io import Denoised, read_brick, read_denoised, write_brick
from skydenoise.io.cards import CARDS
from skydenoise.io.fitsfile import kept_cards, read_survey_image
from skydenoise.io.wcs import celestial_wcs, grid_distance
from skydenoise.paths import coadd_file, raw_file
from skydenoise.survey.external.bricks import import_brick, import_bricks


def flux(image: np.ndarray, x: float, y: float, radius: float = 10) -> float:
    yy, xx = np.indices(image.shape)
    return float(image[np.hypot(xx - x, yy - y) < radius].sum())


def centroid(image: np.ndarray, x: float, y: float) -> tuple[float, float]:
    yy, xx = np.indices(image.shape)
    weight = np.where(np.hypot(xx - x, yy - y) < 6, image, 0)
    return float((weight * xx).sum() / weight.sum()), float((weight * yy).sum() / weight.sum())


def test_bands_on_one_grid_come_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = [
        ListedImage("A", band, write(tmp_path / f"{band}.fits", scene(seed=seed), header()))
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
        ListedImage("A", "r", write(tmp_path / "r.fits", scene(), header())),
        ListedImage(
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
    noise = SIGMA * scale * min(scale, 1)  # smaller pixels are averaged, larger ones interpolated
    assert np.median(brick.invvar[1]) ** -0.5 == pytest.approx(noise, rel=0.1)


def test_what_lies_outside_or_is_nan_has_no_data(tmp_path: Path) -> None:
    data = scene(shift=(10, 0), seed=1)
    data[50:53, 50:53] = np.nan
    images = [
        ListedImage("A", "r", write(tmp_path / "r.fits", scene(), header())),
        ListedImage("A", "z", write(tmp_path / "z.fits", data, header((10, 0)))),
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
        ListedImage("A", "r", write(tmp_path / "r.fits", scene(), header())),
        ListedImage(
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
    image = ListedImage(
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
    import_brick([ListedImage("A", "r", write(tmp_path / "r.fits", scene(), cards))], "A", ["r"], tmp_path)
    _, found = read_survey_image(raw_file(tmp_path, "A", "image", "r"))
    assert grid_distance(celestial_wcs(found), celestial_wcs(cards), SHAPE) < 1e-6
    assert grid_distance(celestial_wcs(found), celestial_wcs(header()), SHAPE) > 0.1


def test_a_second_import_keeps_what_is_there_until_a_file_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "r.fits", scene(), header())
    images = [ListedImage("A", "r", path)]
    first = import_brick(images, "A", ["r"], tmp_path)
    second = import_brick(images, "A", ["r"], tmp_path)
    assert (first.state, second.state) == ("done", "kept")
    assert first.sha256 == second.sha256
    path.unlink()
    write(path, scene(seed=9), header())
    assert import_brick(images, "A", ["r"], tmp_path).state == "done"


def test_old_pc_cards_do_not_survive_resampling(tmp_path: Path) -> None:
    old = header()
    for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"):
        del old[key]
    old["CDELT1"], old["CDELT2"] = -7.28e-5, 7.28e-5
    old["PC001001"], old["PC001002"], old["PC002001"], old["PC002002"] = 0.8, -0.6, 0.6, 0.8
    images = [
        ListedImage("A", "r", write(tmp_path / "r.fits", scene(), header())),
        ListedImage("A", "z", write(tmp_path / "z.fits", scene(), old)),
    ]
    import_brick(images, "A", ["r", "z"], tmp_path)
    r, z = read_brick(tmp_path, "A", ["r", "z"]).headers
    assert not [key for key in z if key.startswith("PC00")]
    assert celestial_wcs(r).wcs.compare(celestial_wcs(z).wcs)


def test_zeros_of_integers_with_a_blank_are_data(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).normal(0, 1.5, SHAPE).round().astype(np.int16)
    stored[5, 6] = -32768
    cards = header()
    cards["BLANK"] = -32768
    path = write(tmp_path / "r.fits", stored, cards)
    import_brick([ListedImage("A", "r", path)], "A", ["r"], tmp_path)
    brick = read_brick(tmp_path, "A", ["r"])
    assert np.argwhere(brick.invvar[0] == 0).tolist() == [[5, 6]]
    np.testing.assert_allclose(brick.invvar.max() ** -0.5, np.hypot(1.5, 12**-0.5), rtol=0.05)


def test_zeros_of_integers_with_an_invvar_are_data(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).normal(0, 1.5, SHAPE).round().astype(np.int16)
    weights = np.full(SHAPE, 1.5**-2, np.float32)
    weights[5, 6] = 0
    invvar = write(tmp_path / "w.fits", weights, header())
    image = ListedImage("A", "r", write(tmp_path / "r.fits", stored, header()), invvar=invvar)
    import_brick([image], "A", ["r"], tmp_path)
    brick = read_brick(tmp_path, "A", ["r"])
    assert np.count_nonzero(stored == 0) > 100
    assert np.argwhere(brick.invvar[0] == 0).tolist() == [[5, 6]]


def test_pixels_that_cannot_be_light_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = scene()
    data[20:22, 30:40] = -999
    data[50, 60] = 1e30
    weight = write(tmp_path / "w.fits", np.full(SHAPE, SIGMA**-2, np.float32), header())
    image = ListedImage("A", "r", write(tmp_path / "r.fits", data, header()), invvar=weight)
    import_brick([image], "A", ["r"], tmp_path)
    assert "brick A, band r: far outside the noise, so no data: 21 pixels, 20 of them -999" in caplog.text
    assert np.count_nonzero(read_brick(tmp_path, "A", ["r"]).invvar == 0) == 21


def test_too_little_sky_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    y, x = np.indices((200, 200))
    galaxy = np.random.default_rng(0).normal(0, 1, (200, 200)) + 1000 * np.exp(-np.hypot(x - 99, y - 99) / 60)
    import_brick([ListedImage("A", "r", write(tmp_path / "r.fits", galaxy, header()))], "A", ["r"], tmp_path)
    assert "brick A, band r: hardly any empty sky" in caplog.text
    assert read_brick(tmp_path, "A", ["r"]).invvar.max() ** -0.5 == pytest.approx(1, rel=0.05)


def test_native_units_are_kept_in_all_products(tmp_path: Path) -> None:
    cards = header()
    cards["BUNIT"] = "adu"
    image = ListedImage("A", "r", write(tmp_path / "r.fits", 1e-9 * scene(), cards), units="native")
    import_brick([image], "A", ["r"], tmp_path)
    brick = read_brick(tmp_path, "A", ["r"])
    np.testing.assert_allclose(brick.image[0], 1e-9 * scene(), rtol=1e-6)
    assert fits.getheader(raw_file(tmp_path, "A", "invvar", "r"), 1)["BUNIT"] == "1/adu^2"
    noise = 1e-9 * SIGMA
    sigma = np.full_like(brick.image, 0.1 * noise)
    flags = np.zeros(SHAPE, np.int32)
    told = dict.fromkeys(CARDS, "0")
    files = write_brick(tmp_path, brick, Denoised(brick.image, sigma, flags), OutputSettings(), told)
    assert not any("nanomagg" in str(fits.getheader(file, 1)).lower() for file in files)
    found = read_denoised(tmp_path, "A", ["r"])
    np.testing.assert_allclose(found.image[0], brick.image[0], atol=0.06 * noise)
    np.testing.assert_allclose(found.sigma, sigma, atol=0.006 * noise)
    assert fits.getheader(coadd_file(tmp_path, "A", "sigma", "r"), 1)["BUNIT"] == "adu"


def damaged_header(path: Path) -> Path:
    content = write(path, scene(), fits.Header({**header(), "OBSERVER": "MARKERXX"})).read_bytes()
    path.write_bytes(content.replace(b"MARKERXX", b"CASA 4\n "))
    return path


def with_cards(path: Path, **cards: object) -> Path:
    return write(path, scene(), fits.Header({**header(), **cards}))


def lookup_table(path: Path) -> Path:
    sip = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2}
    return with_cards(path, **sip, CPDIS1="Lookup")


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (damaged_header, r"damaged header: card \d+, OBSERVER"),
        (lookup_table, "no usable WCS: .*Lookup table"),
        (lambda path: with_cards(path, CTYPE1="RA---XYZ", CTYPE2="DEC--XYZ"), "Unrecognized projection code"),
        (lambda path: with_cards(path, CTYPE2="DEC--SIN"), "Inconsistent projection types"),
        (lambda path: with_cards(path, CD1_1=0.0, CD2_2=0.0, BUNIT="MJy/sr"), "no usable WCS: .*singular"),
        (
            lambda path: with_cards(path, CD1_1=7.28e-5, CD1_2=7.28e-5, CD2_1=7.28e-5),
            "no usable WCS: .*singular",
        ),
        (lambda path: write(path, 1e-18 * scene(), header()), "outside of what single precision holds"),
    ],
    ids=["damaged header", "lookup table", "projection", "mixed", "zero", "rank 1", "tiny"],
)
def test_a_bad_header_skips_its_brick_alone(make: Callable[[Path], Path], cause: str, tmp_path: Path) -> None:
    images = [
        ListedImage("bad", "r", make(tmp_path / "bad.fits")),
        ListedImage("good", "r", write(tmp_path / "good.fits", scene(), header())),
    ]
    bad, good = import_bricks(images, ["bad", "good"], ["r"], tmp_path / "raw")
    assert (bad.state, good.state) == ("skipped", "done")
    assert re.search(rf"brick bad, band r, .*/bad\.fits: .*{cause}", bad.reason)
    assert "\n" not in bad.reason


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
        ListedImage("good", "r", good),
        ListedImage("good", "z", good),
        ListedImage("bare", "r", bare),
        ListedImage("bare", "z", good),
        ListedImage("cut", "r", good),
        ListedImage("cut", "z", cut),
        ListedImage("gone", "r", tmp_path / "gone.fits"),
        ListedImage("gone", "z", good),
        ListedImage("far", "r", good),
        ListedImage("far", "z", write(tmp_path / "far.fits", scene(), far)),
        ListedImage("flat", "r", write(tmp_path / "flat.fits", np.ones(SHAPE, np.float32), header())),
        ListedImage("flat", "z", good),
        ListedImage("cube", "r", write(tmp_path / "cube.fits", np.ones((2, *SHAPE), np.float32), header())),
        ListedImage("cube", "z", good),
        ListedImage("empty", "r", good),
        ListedImage("empty", "z", empty),
        ListedImage("dark", "r", good),
        ListedImage("dark", "z", good, invvar=write(tmp_path / "dark.fits", dark, header())),
        ListedImage("nan", "r", write(tmp_path / "nan.fits", np.full(SHAPE, np.nan), header())),
        ListedImage("nan", "z", good),
        ListedImage("shape", "r", good, invvar=write(tmp_path / "less.fits", dark[:-1], header())),
        ListedImage("shape", "z", good),
    ]
    names = [*dict.fromkeys(image.brick for image in images if image.brick != "good"), "good"]
    entries = {entry.brick: entry for entry in import_bricks(images, names, ["r", "z"], tmp_path / "raw")}
    assert entries["good"].state == "done"
    for name, band, cause in (
        ("bare", "r", "no usable WCS"),
        ("cut", "z", "truncated"),
        ("gone", "r", "No such file"),
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


def test_a_brick_lacks_the_bands_that_the_table_does_not_have(tmp_path: Path) -> None:
    images = [
        ListedImage("A", band, write(tmp_path / f"{band}.fits", scene(), header())) for band in ("g", "r")
    ]
    for listed, bands in ((images, "g r"), (images[1:], "r"), (images[1:], "r")):
        entry = import_brick(listed, "A", ("g", "r", "z"), tmp_path / "raw")
        assert (entry.bands, entry.files) == (bands, 2 * len(listed))
        assert " ".join(read_brick(tmp_path / "raw", "A", ("g", "r", "z")).present) == bands
    assert entry.state == "kept"


def test_a_full_disk_is_no_fault_of_the_bricks(tmp_path: Path, full_disk) -> None:
    image = ListedImage("A", "r", write(tmp_path / "r.fits", scene(), header()))
    with full_disk(), pytest.raises(StepError, match="no space left") as caught:
        import_bricks([image], ["A"], ["r"], tmp_path / "raw")
    assert "\n" not in str(caught.value)
    assert not [path for path in (tmp_path / "raw").rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "raw").touch()
    image = ListedImage("A", "r", write(tmp_path / "r.fits", scene(), header()))
    with pytest.raises(StepError, match=r"raw/A/A: cannot be written: .* \(survey.cache must be writable\)"):
        import_bricks([image], ["A"], ["r"], tmp_path / "raw")


def test_a_brick_error_is_raised_for_one_brick(tmp_path: Path) -> None:
    with pytest.raises(BrickError, match="brick A, band r: not in the table"):
        import_brick([], "A", ["r"], tmp_path)
