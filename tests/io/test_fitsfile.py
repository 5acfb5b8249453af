import shutil
import subprocess
import time
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from skydenoise.config import OutputSettings
from skydenoise.io.fitsfile import kept_cards, read_survey_image, write_survey_image
from skydenoise.io.verified import intact_header

RICE = OutputSettings()
LOSSLESS = OutputSettings("lossless")
PIXELS = st.floats(-1e4, 1e4, width=32) | st.just(0.0) | st.just(float("nan"))
IMAGES = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=130), elements=PIXELS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fits")


def rich_header() -> fits.Header:
    """Every form of card that the survey's headers have, and some more."""
    header = fits.Header()
    header["CTYPE1"] = ("RA---TAN", "TANgent plane")
    header.append(fits.Card.fromstring("CD1_1   = -7.27777777777778E-05 / CD matrix"), bottom=True)
    header.append(fits.Card.fromstring("CD1_2   =                   0. / CD matrix"), bottom=True)
    header.append(("COMMENT", "first comment"), bottom=True)
    header.append(
        fits.Card.fromstring("ODD     =              1.00000 /no space before the comment"), bottom=True
    )
    header.append(("HISTORY", "once upon a time"), bottom=True)
    header.append(("HIERARCH ESO TEL AMBI SEEING", 1.25, "arcsec"), bottom=True)
    header.append(("LONG", "x" * 150, "a string with CONTINUE cards"), bottom=True)
    clipped = "DEPVER09= 'large/galaxies/masked/by/the/legacysurvey/sga/2025/SGA2025-parent-re'"
    header.append(fits.Card.fromstring(clipped), bottom=True)  # legacypipe's issue 786
    for value in (1, 2):
        header.append(("TWICE", value, "the same card again"), bottom=True)
    header.append(("HIERARCH MB_ALLMASK_G", 32, "maskbits: any ALLMASK_G bit set"), bottom=True)
    header.append(("", "a blank card"), bottom=True)
    header.append(("COMMENT", "last comment"), bottom=True)
    header.append(("BUNIT", "nanomaggy"), bottom=True)
    header["CHECKSUM"], header["DATASUM"] = "old", "1"
    header["BZERO"], header["BSCALE"] = 0.0, 1.0
    return header


def noise(height: int = 230, width: int = 310) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 0.01, (height, width)).astype(np.float32)


def images(header: fits.Header) -> list[str]:
    return [card.image for card in kept_cards(header) if card.keyword != "LONGSTRN"]


@settings(max_examples=25, deadline=None)
@given(data=IMAGES)
def test_quantised_pixels_are_within_half_a_step(folder: Path, data: np.ndarray) -> None:
    write_survey_image(folder / "q.fits.fz", data, fits.Header(), output=RICE)
    found, _ = read_survey_image(folder / "q.fits.fz")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(data))
    rounding = 4 * np.finfo(np.float32).eps * np.abs(data)
    assert np.nanmax(np.abs(found - data) - rounding, initial=0) <= 0.5001 * RICE.step
    assert (found[data == 0] == 0).all()


@settings(max_examples=25, deadline=None)
@given(data=IMAGES)
def test_lossless_is_exact(folder: Path, data: np.ndarray) -> None:
    write_survey_image(folder / "l.fits.fz", data, fits.Header(), output=LOSSLESS)
    np.testing.assert_array_equal(read_survey_image(folder / "l.fits.fz")[0], data)


@settings(max_examples=25, deadline=None)
@given(data=arrays(np.int32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=130)))
def test_integers_are_exact(folder: Path, data: np.ndarray) -> None:
    write_survey_image(folder / "i.fits.fz", data, fits.Header(), output=RICE)
    found, _ = read_survey_image(folder / "i.fits.fz")
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, data)


def test_zeros_stay_zero_and_huge_pixels_survive(tmp_path: Path) -> None:
    data = noise()
    data[:120] = 0
    data[200, 200] = 1e8
    write_survey_image(tmp_path / "a.fits.fz", data, fits.Header(), output=RICE)
    found, _ = read_survey_image(tmp_path / "a.fits.fz")
    assert (found[:120] == 0).all()
    assert found[200, 200] == np.float32(1e8)


@pytest.mark.parametrize("output", [RICE, LOSSLESS])
def test_every_card_is_kept_letter_by_letter_in_order(tmp_path: Path, output: OutputSettings) -> None:
    header = rich_header()
    write_survey_image(tmp_path / "a.fits.fz", noise(), header, output=output)
    with fits.open(tmp_path / "a.fits.fz", disable_image_compression=True) as hdus:
        assert images(hdus[1].header)[-len(images(header)) :] == images(header)
    found = read_survey_image(tmp_path / "a.fits.fz")[1]
    assert [found[key] for key in ("NAXIS", "NAXIS1", "NAXIS2")] == [2, 310, 230]
    assert images(found) == images(header)


def test_readers_agree(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.fz"
    data = noise()
    data[5:9, 7] = np.nan
    write_survey_image(path, data, rich_header(), output=RICE)
    found, _ = read_survey_image(path)
    with fits.open(path) as hdus:
        assert hdus[0].data is None
        np.testing.assert_array_equal(hdus[1].data, found)
    np.testing.assert_array_equal(fitsio.read(str(path), 1), found)


def test_checksums_hold_on_the_table(tmp_path: Path) -> None:
    write_survey_image(tmp_path / "a.fits.fz", noise(), rich_header(), output=RICE)
    with fits.open(tmp_path / "a.fits.fz", disable_image_compression=True, checksum=True) as hdus:
        assert [hdu.verify_checksum() for hdu in hdus] == [1, 1]
        assert [hdu.verify_datasum() for hdu in hdus] == [1, 1]


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify (Debian package) is not installed")
@pytest.mark.parametrize("output", [RICE, LOSSLESS])
@pytest.mark.parametrize("data", [noise(), noise().astype(np.int32)], ids=["float", "int"])
def test_fitsverify_has_no_complaint(tmp_path: Path, output: OutputSettings, data: np.ndarray) -> None:
    header = rich_header()
    header.remove("TWICE")  # of a card that the survey has twice, it would warn
    write_survey_image(tmp_path / "a.fits.fz", data, header, output=output)
    run = subprocess.run(["fitsverify", str(tmp_path / "a.fits.fz")], capture_output=True, text=True)
    assert "found 0 warning(s) and 0 error(s)" in run.stdout, run.stdout + run.stderr


def bright_noise() -> np.ndarray:
    data = noise()
    data[100, 100] = 1e8  # its tile cannot be quantised
    return data


@pytest.mark.parametrize(
    ("data", "output"),
    [(noise(), RICE), (noise(), LOSSLESS), (bright_noise(), RICE), (noise(101, 101), RICE)],
    ids=["quantised", "lossless", "bright", "a tile of one pixel"],
)
def test_same_input_same_bytes(tmp_path: Path, data: np.ndarray, output: OutputSettings) -> None:
    paths = [tmp_path / name for name in ("a.fits.fz", "b.fits.fz")]
    for path in paths:
        write_survey_image(path, data, rich_header(), output=output)
        time.sleep(1.1)  # into another second, which gzip and astropy would have written down
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_uncompressed_images_are_read_too(tmp_path: Path) -> None:
    fits.PrimaryHDU(noise(), fits.Header({"BUNIT": "nanomaggy"})).writeto(tmp_path / "plain.fits")
    data, header = read_survey_image(tmp_path / "plain.fits")
    np.testing.assert_array_equal(data, noise())
    assert data.dtype.isnative
    assert header["BUNIT"] == "nanomaggy"


def write_as(path: Path, data: np.ndarray, **how: object) -> np.ndarray:
    """Write an image as a release does."""
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        file.write(None)
        file.write(data, **how)
    return data


@pytest.mark.parametrize("height", [200, 230, 307], ids=["even", "short last tile", "prime"])
def test_lossless_is_what_other_readers_can_read(tmp_path: Path, height: int) -> None:
    write_survey_image(tmp_path / "a.fits.fz", noise(height), fits.Header(), output=LOSSLESS)
    with fits.open(tmp_path / "a.fits.fz", disable_image_compression=True) as hdus:
        cards = hdus[1].header
        assert (cards["ZCMPTYPE"], cards["ZQUANTIZ"], cards["ZTILE1"]) == ("GZIP_2", "NONE", 310)
        assert height % cards["ZTILE2"] == 0


def weights(seed: int = 3) -> np.ndarray:
    """Inverse variances of 230 x 310 pixels, a quarter of them 0, as a mosaic of exposures has them."""
    generator = np.random.default_rng(seed)
    data = generator.normal(6e4, 900, (230, 310)).astype(np.float32)
    data[60:90] /= 50
    data[100:130, 40:280] = generator.choice([0, 5e3], (30, 240))
    data[:70, :100] = 0
    return data


@pytest.mark.parametrize("dither", ["NO_DITHER", "SUBTRACTIVE_DITHER_1", "SUBTRACTIVE_DITHER_2"])
def test_no_data_stays_no_data_however_weights_were_rounded(tmp_path: Path, dither: str) -> None:
    path, data = tmp_path / "a.fits.fz", weights()
    write_as(path, data, compress="RICE", qlevel=16, qmethod=dither, tile_dims=(100, 100))
    plain, _ = read_survey_image(path)
    found, _ = read_survey_image(path, rounded_to_zero=True)
    if dither == "SUBTRACTIVE_DITHER_1":
        assert np.abs(plain[data == 0]).max() > 10
        assert (plain < 0).any()
    np.testing.assert_array_equal(found == 0, data == 0)
    assert (found >= 0).all()
    np.testing.assert_array_equal(found[data > 0], plain[data > 0])


@pytest.mark.parametrize("card", ["ZTILE1", "ZTILE2"])
def test_damaged_tiles_of_weights_are_an_os_error(tmp_path: Path, card: str) -> None:
    path = tmp_path / "a.fits.fz"
    write_as(path, weights(), compress="RICE", qlevel=16, qmethod="NO_DITHER", tile_dims=(100, 100))
    path.write_bytes(path.read_bytes().replace(f"{card:8}=".encode(), f"{card[:-1]}9 =".ljust(9).encode()))
    with pytest.raises(OSError, match=r"damaged|truncated"):
        read_survey_image(path, rounded_to_zero=True)


def test_weights_without_rounding_keep_the_smallest(tmp_path: Path) -> None:
    path, data = tmp_path / "a.fits.fz", weights()
    data[5, 5] = 1e-30
    write_as(path, data, compress="GZIP", qlevel=0, tile_dims=(100, 100))  # as depth maps are
    np.testing.assert_array_equal(read_survey_image(path, rounded_to_zero=True)[0], data)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_masks_by_hcompress_with_a_tile_that_was_enlarged(tmp_path: Path, dtype: type) -> None:
    data = np.random.default_rng(4).integers(0, 1 << 14, (203, 302)).astype(dtype)  # rests of 3 and 2 pixels
    write_as(tmp_path / "a.fits.fz", data, compress="HCOMPRESS", tile_dims=(102, 103))
    found, _ = read_survey_image(tmp_path / "a.fits.fz")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, data)


def test_an_image_is_found_by_its_name_or_is_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.fz"
    with fitsio.FITS(str(path), "rw") as file:
        file.write(None)
        file.write(np.zeros(3, [("x", "i4")]), extname="IMAGE_r")  # a table
        for number, name in enumerate(("WISEM1", "MASKBITS", None), 1):
            file.write(np.full((5, 6), number, np.int32), extname=name, compress="RICE")
    assert read_survey_image(path, "maskbits")[0][0, 0] == 2
    for name in ("", "IMAGE_r", "elsewhere"):
        assert read_survey_image(path, name)[0][0, 0] == 1


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.uint16])
@pytest.mark.parametrize("compression", ["RICE_1", None])
def test_integers_stay_integers_even_where_one_stands_for_no_data(
    tmp_path: Path, dtype: type, compression: str | None
) -> None:
    path, data = tmp_path / "bits.fits", np.arange(9000).reshape(90, 100).astype(dtype)
    blank = fits.Header({"BLANK": 7} if dtype in (np.int16, np.int32) else {})
    if compression:
        hdu = fits.CompImageHDU(data, blank, compression_type=compression)
    else:
        hdu = fits.ImageHDU(data, blank)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    found, _ = read_survey_image(path)
    assert found.dtype.kind in "iu"
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, data)


@pytest.mark.parametrize("cards", [{}, {"BSCALE": 1e-4, "BZERO": 0.5}], ids=["plain", "scaled"])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_blank_integers_of_a_sky_are_nan(tmp_path: Path, dtype: type, cards: dict[str, float]) -> None:
    path, blank = tmp_path / "a.fits", np.iinfo(dtype).min
    data = np.arange(9000).reshape(90, 100).astype(dtype)
    data[3, 4] = blank
    hdu = fits.ImageHDU(data)
    hdu.header.update({"BLANK": int(blank), **cards})
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    found, _ = read_survey_image(path, blank_as_nan=True)
    assert np.argwhere(np.isnan(found)).tolist() == [[3, 4]]
    expected = data[4:] * cards.get("BSCALE", 1) + cards.get("BZERO", 0)
    np.testing.assert_allclose(found[4:], expected, rtol=1e-6)


def test_a_damaged_card_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.fz"
    write_survey_image(path, noise(), fits.Header({"OBSERVER": "MARKERXX"}), output=RICE)
    path.write_bytes(path.read_bytes().replace(b"MARKERXX", b"CASA 4\n "))
    with pytest.raises(OSError, match=r"damaged header: card \d+, OBSERVER"):
        read_survey_image(path)


def test_a_cut_file_is_never_read_as_if_whole(tmp_path: Path) -> None:
    path, cut = tmp_path / "a.fits.fz", tmp_path / "cut.fits.fz"
    write_survey_image(path, noise(), rich_header(), output=RICE)
    content = path.read_bytes()
    for length in [0, 100, 2880, *range(3000, len(content), 7919), len(content) - 2880]:
        cut.write_bytes(content[:length])
        with pytest.raises(OSError, match=r"empty|truncated"):
            read_survey_image(cut)
        assert intact_header(cut) is None


@pytest.mark.filterwarnings("ignore")  # of astropy about the damage
def test_a_damaged_file_gives_pixels_or_an_os_error(tmp_path: Path) -> None:
    path, generator = tmp_path / "a.fits.fz", np.random.default_rng(7)
    write_survey_image(path, noise(), rich_header(), output=RICE)
    content, outcomes = path.read_bytes(), set()
    for _ in range(60):
        damaged = bytearray(content)
        for position in generator.integers(2880, len(content), 20):
            damaged[position] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        try:
            outcomes.add(read_survey_image(path)[0].shape == noise().shape)
        except OSError:
            outcomes.add(None)
    assert outcomes <= {True, None}
    assert None in outcomes


def test_a_changed_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.fz"
    write_survey_image(path, noise(), rich_header(), output=RICE)
    header = intact_header(path)
    assert header is not None
    assert header["BUNIT"] == "nanomaggy"
    content = bytearray(path.read_bytes())
    for position in (3200, len(content) // 2, len(content) - 3000):
        damaged = content.copy()
        damaged[position] ^= 4
        path.write_bytes(damaged)
        assert intact_header(path) is None
    assert intact_header(tmp_path / "none.fits.fz") is None


@pytest.mark.parametrize(
    "data",
    [np.zeros((3, 4, 5), np.float32), np.zeros((4, 5)), np.full((4, 5), np.inf, np.float32)],
    ids=["cube", "float64", "infinite"],
)
def test_other_pixels_are_refused(tmp_path: Path, data: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixels"):
        write_survey_image(tmp_path / "a.fits.fz", data, fits.Header(), output=RICE)
    assert not list(tmp_path.iterdir())
