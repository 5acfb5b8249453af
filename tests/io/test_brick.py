import logging
from dataclasses import replace
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from small_brick import BANDS, LOSSLESS, NAME, PROVENANCE, brick, denoised, wcs_header

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError
from skydenoise.io import (
    Brick,
    raw_digests,
    read_brick,
    write_brick,
)
from skydenoise.io.digest import file_digest
from skydenoise.io.fitsfile import write_survey_image
from skydenoise.io.rawbrick import write_raw
from skydenoise.io.verified import ABSENT_FILE, Fetched, read_record, write_record


def replace_band(cache: Path, kind: str, band: str, data: np.ndarray, header: fits.Header) -> None:
    write_survey_image(paths.raw_file(cache, NAME, kind, band), data, header, output=LOSSLESS)


def test_a_written_brick_comes_back(tmp_path: Path) -> None:
    written = brick()
    write_raw(tmp_path, written, LOSSLESS)
    found = read_brick(tmp_path, NAME, BANDS)
    np.testing.assert_array_equal(found.image, written.image)
    np.testing.assert_array_equal(found.invvar, written.invvar)
    assert (found.name, found.bands, found.shape) == (NAME, BANDS, (110, 125))
    assert found.image.dtype == found.invvar.dtype == np.float32
    assert found.headers[0]["CRVAL1"] == 141.0
    assert found.headers[2]["NAXIS1"] == 125
    assert not found.masked.any()
    np.testing.assert_array_equal(found.usable, written.invvar > 0)


def test_bands_come_in_the_order_asked_for(tmp_path: Path) -> None:
    write_raw(tmp_path, brick(), LOSSLESS)
    np.testing.assert_array_equal(read_brick(tmp_path, NAME, ("z", "g")).image, brick().image[[2, 0]])


def test_the_quantised_brick_is_as_good_as_the_survey_s(tmp_path: Path) -> None:
    written = brick()
    write_raw(tmp_path, written, OutputSettings())
    found = read_brick(tmp_path, NAME, BANDS)
    assert np.abs(found.image - written.image).max() <= 0.5001e-4
    np.testing.assert_allclose(found.invvar, written.invvar, rtol=2e-4)
    np.testing.assert_array_equal(found.invvar == 0, written.invvar == 0)


def test_broken_pixels_count_as_no_data_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_raw(tmp_path, brick(), LOSSLESS)
    image, invvar = brick().image[1], brick().invvar[1]
    image[50, 50], invvar[60, 60], invvar[70, 70], invvar[80, 80] = np.nan, np.nan, -1, 0
    replace_band(tmp_path, "image", "r", image, wcs_header())
    replace_band(tmp_path, "invvar", "r", invvar, wcs_header())
    found = read_brick(tmp_path, NAME, BANDS)
    for y in (50, 60, 70, 80):
        assert (found.image[1, y, y], found.invvar[1, y, y]) == (0, 0)
    assert np.isfinite(found.image).all()
    assert "band r: 3 pixels" in caplog.text
    assert "band g" not in [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]


def test_infinite_pixels_count_as_no_data(tmp_path: Path) -> None:
    write_raw(tmp_path, brick(), LOSSLESS)
    image, path = brick().image[1], paths.raw_file(tmp_path, NAME, "image", "r")
    image[50, 50] = np.inf
    fits.PrimaryHDU(image, wcs_header()).writeto(path, overwrite=True)
    found = read_brick(tmp_path, NAME, BANDS)
    assert (found.image[1, 50, 50], found.invvar[1, 50, 50]) == (0, 0)


def test_weights_that_rounding_moved_off_zero_are_no_data(tmp_path: Path) -> None:
    write_raw(tmp_path, brick(), LOSSLESS)
    generator, hole = np.random.default_rng(3), brick().invvar[1] == 0
    weights = np.where(hole, 0, generator.normal(6e4, 900, hole.shape)).astype(np.float32)
    weights[0, :9] = -105  # DR8 has such, and DITHER_1 moves the zeros beside them
    path = paths.raw_file(tmp_path, NAME, "invvar", "r")
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        file.write(None)
        how = {"compress": "RICE", "qlevel": 16, "qmethod": "SUBTRACTIVE_DITHER_1", "tile_dims": (100, 100)}
        file.write(weights, **how)
    image = generator.normal(0, 0.01, hole.shape).astype(np.float32)  # not 0 where invvar is
    replace_band(tmp_path, "image", "r", image, wcs_header())
    assert (fitsio.read(str(path))[hole] > 10).any()
    found = read_brick(tmp_path, NAME, BANDS)
    np.testing.assert_array_equal(found.invvar[1] == 0, hole)
    np.testing.assert_array_equal(found.image[1], np.where(hole, 0, image))


@pytest.mark.parametrize("named", [True, False])
def test_saturated_and_bad_pixels_are_masked_in_their_band_alone(
    tmp_path: Path, named: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bits = {"SATUR_R": 11, "ALLMASK_Z": 9} if named else {"SATUR_R": 3, "ALLMASK_Z": 7}
    maskbits = np.ones(brick().shape, np.int16)  # NPRIMARY everywhere: no reason to mask
    maskbits[40, 41] |= 1 << bits["SATUR_R"]
    maskbits[42, 43] |= 1 << bits["ALLMASK_Z"]
    write_raw(tmp_path, brick(), LOSSLESS)
    header = fits.Header({f"MBIT_{bit}": name for name, bit in bits.items()} if named else {})
    write_survey_image(paths.raw_file(tmp_path, NAME, "maskbits"), maskbits, header, output=LOSSLESS)
    found = read_brick(tmp_path, NAME, BANDS)
    assert np.argwhere(found.masked).tolist() == [[1, 40, 41], [2, 42, 43]]
    assert not found.usable[1, 40, 41]
    lacking = ("SATUR_G", "ALLMASK_G", "ALLMASK_R", "SATUR_Z") if named else ()
    assert found.unmasked == lacking
    told = f"maskbits have no {', '.join(lacking)} to mask by" if named else "names no bit"
    assert told in caplog.text


def test_the_survey_s_hdu_names_lead_to_the_pixels_and_products_have_their_own(tmp_path: Path) -> None:
    written = brick()
    headers = [wcs_header() for _ in BANDS]
    for band, header in zip(BANDS, headers, strict=True):
        header["EXTNAME"] = f"IMAGE_{band}"
    written = replace(written, headers=tuple(headers))
    raw = write_raw(tmp_path, written, LOSSLESS)
    masked = paths.raw_file(tmp_path, NAME, "maskbits")
    with fits.open(masked.with_suffix(""), mode="append") as hdus:  # WISEM1 before MASKBITS
        hdus.append(fits.PrimaryHDU())
        for name in ("WISEM1", "MASKBITS"):
            bits = np.full(written.shape, 255 if name == "WISEM1" else 0, np.int32)
            hdus.append(fits.CompImageHDU(bits, fits.Header({"MBIT_2": "SATUR_G"}), name=name))
    masked.with_suffix("").rename(masked)
    found = read_brick(tmp_path, NAME, BANDS)
    np.testing.assert_array_equal(found.image, written.image)
    assert not found.masked.any()
    products = write_brick(tmp_path, found, denoised(found), LOSSLESS, PROVENANCE)
    names = [fits.getheader(path, 1)["EXTNAME"] for path in (*raw, *products)]
    assert names[:6] == [f"{kind}_{band}" for band in BANDS for kind in ("IMAGE", "INVVAR")]
    assert names[6:] == [*(f"{kind}_{band}" for band in BANDS for kind in ("IMAGE", "SIGMA")), "FLAGS"]


def test_the_highest_bit_of_int16_maskbits_counts(tmp_path: Path) -> None:
    maskbits = np.zeros(brick().shape, np.int16)
    maskbits[40, 41] = -32768  # ALLMASK_I, bit 15
    write_raw(tmp_path, brick(bands=("g", "i")), LOSSLESS, maskbits)
    found = read_brick(tmp_path, NAME, ("g", "i"))
    assert np.argwhere(found.masked).tolist() == [[1, 40, 41]]


@pytest.mark.parametrize("bands", [("g", "r", "z"), ("i", "u", "I-A-L427")])
def test_masked_pixels_are_written_and_read_for_any_band(tmp_path: Path, bands: tuple[str, ...]) -> None:
    written = brick(bands=bands)
    for index in range(3):
        written.masked[index, 30 + index, 40] = True
    write_raw(tmp_path, written, LOSSLESS)
    np.testing.assert_array_equal(read_brick(tmp_path, NAME, bands).masked, written.masked)


def test_without_maskbits_nothing_is_masked_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_raw(tmp_path, brick(), LOSSLESS)
    with caplog.at_level(logging.INFO):
        assert not read_brick(tmp_path, NAME, BANDS).masked.any()
    assert "no maskbits file" in caplog.text


def no_file(cache: Path) -> None:
    paths.raw_file(cache, NAME, "image", "r").unlink()


def empty(cache: Path) -> None:
    paths.raw_file(cache, NAME, "image", "r").write_bytes(b"")


def truncated(cache: Path) -> None:
    path = paths.raw_file(cache, NAME, "invvar", "r")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_fits(cache: Path) -> None:
    paths.raw_file(cache, NAME, "image", "r").write_text("<html>404</html>" * 500)


def flipped(cache: Path) -> None:
    path = paths.raw_file(cache, NAME, "image", "r")
    content = bytearray(path.read_bytes())
    content[-3000] ^= 1
    path.write_bytes(content)


def record(cache: Path) -> None:
    folder = paths.raw_file(cache, NAME, "maskbits").parent
    files = {path.name: Fetched(file_digest(path), "survey", "") for path in folder.iterdir()}
    write_record(folder, files)


def fetched_and_flipped(cache: Path) -> None:
    record(cache)
    flipped(cache)


def fetched_and_removed(cache: Path) -> None:
    record(cache)
    no_file(cache)


def negative_invvar(cache: Path) -> None:
    replace_band(cache, "invvar", "r", np.full((110, 125), -1, np.float32), wcs_header())


def nowhere_finite(cache: Path) -> None:
    image = np.full((110, 125), np.nan, np.float32)
    image[::2] = np.inf
    path = paths.raw_file(cache, NAME, "image", "r")
    fits.PrimaryHDU(image, wcs_header()).writeto(path, overwrite=True)


def other_shape(cache: Path) -> None:
    for kind in ("image", "invvar"):
        replace_band(cache, kind, "r", np.ones((110, 124), np.float32), wcs_header())


def other_invvar_shape(cache: Path) -> None:
    replace_band(cache, "invvar", "r", np.ones((109, 125), np.float32), wcs_header())


def another_sky(cache: Path) -> None:
    header = wcs_header()
    header["CRVAL1"] = 141.5
    replace_band(cache, "image", "r", brick().image[1], header)


def no_wcs(cache: Path) -> None:
    replace_band(cache, "image", "r", brick().image[1], fits.Header({"BUNIT": "nanomaggy"}))


def no_pixel_scale(cache: Path) -> None:
    header = wcs_header()
    for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"):
        del header[key]
    replace_band(cache, "image", "r", brick().image[1], header)


def no_sky(cache: Path) -> None:
    header = wcs_header()
    header["CTYPE1"], header["CTYPE2"] = "WAVE", "SLIT"
    replace_band(cache, "image", "r", brick().image[1], header)


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        (no_file, "no file"),
        (empty, "the file is empty (snakemake retry_skipped, then the same command fetches it again)"),
        (truncated, "truncated"),
        (no_fits, "no FITS file"),
        (flipped, "CHECKSUM does not hold"),
        (
            fetched_and_flipped,
            "changed since it was fetched: its sha256 is not the one in fetched.sha256 (snakemake",
        ),
        (fetched_and_removed, "no file"),
        (negative_invvar, "no valid pixel (nowhere a finite value with invvar above 0)"),
        (nowhere_finite, "no valid pixel"),
        (other_shape, "shape (110, 124) (y, x) differs from (110, 125) of band g"),
        (other_invvar_shape, "different shapes"),
        (no_wcs, "no usable WCS: CTYPE1"),
        (no_pixel_scale, "no usable WCS: CD1_1"),
        (another_sky, "pixels off band g on the sky"),
        (no_sky, "not celestial"),
    ],
)
def test_bad_input_gives_one_line_with_brick_band_and_cause(tmp_path: Path, harm, cause: str) -> None:
    write_raw(tmp_path, brick(), LOSSLESS)
    harm(tmp_path)
    with pytest.raises(BrickError) as caught:
        read_brick(tmp_path, NAME, BANDS)
    line = str(caught.value)
    assert line.startswith(f"brick {NAME}, band r, ")
    assert "legacysurvey-1410m032-" in line
    assert cause in line
    assert "\n" not in line


def lacking(cache: Path, how: str) -> Brick:
    """What a brick is that lacks r: it has no files of it, or the survey has none, or invvar is 0."""
    written = brick()
    written.image[1] = written.invvar[1] = 0
    write_raw(cache, written, LOSSLESS)
    assert not paths.raw_file(cache, NAME, "image", "r").exists()
    files = [paths.raw_file(cache, NAME, kind, "r") for kind in ("image", "invvar")]
    if how == "no coverage":
        for kind in ("image", "invvar"):
            replace_band(cache, kind, "r", np.zeros((110, 125), np.float32), wcs_header())
    if how == "not at the survey":
        record(cache)
        write_record(
            files[0].parent, read_record(files[0].parent) | {path.name: ABSENT_FILE for path in files}
        )
    return written


HOW = ["no files", "not at the survey", "no coverage"]


@pytest.mark.parametrize("how", HOW)
def test_a_brick_that_lacks_a_band_is_read_without_it(tmp_path: Path, how: str) -> None:
    written, found = lacking(tmp_path, how), read_brick(tmp_path, NAME, BANDS)
    assert (found.bands, found.present) == (BANDS, ("g", "z"))
    np.testing.assert_array_equal(found.image, written.image)
    np.testing.assert_array_equal(found.invvar, written.invvar)
    assert not found.usable[1].any()
    assert found.headers[1]["CRVAL1"] == 141.0
    files = {name for name in raw_digests(tmp_path, NAME, BANDS) if "-r." in name}
    assert len(files) == (2 if how == "no coverage" else 0)


def test_a_brick_without_any_band_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrickError, match=r"band g, .*image-g.fits.fz: no file, nor of another band"):
        read_brick(tmp_path, NAME, BANDS)
    write_raw(tmp_path, brick(), LOSSLESS)
    for band in BANDS:
        replace_band(tmp_path, "invvar", band, np.zeros((110, 125), np.float32), wcs_header())
    with pytest.raises(BrickError, match=r"invvar is 0 everywhere in every band"):
        read_brick(tmp_path, NAME, BANDS)


def test_maskbits_that_were_fetched_must_be_there(tmp_path: Path) -> None:
    write_raw(tmp_path, replace(brick(), masked=brick().invvar > 9e3), LOSSLESS)
    record(tmp_path)
    assert read_brick(tmp_path, NAME, BANDS).masked.any()
    paths.raw_file(tmp_path, NAME, "maskbits").unlink()
    with pytest.raises(BrickError, match=r"maskbits\.fits\.fz: no file"):
        read_brick(tmp_path, NAME, BANDS)


def test_digests_of_a_brick_s_files(tmp_path: Path) -> None:
    files = write_raw(tmp_path, brick(), LOSSLESS)
    assert raw_digests(tmp_path, NAME, BANDS) == {path.name: file_digest(path) for path in files}


def test_maskbits_of_another_shape_are_refused(tmp_path: Path) -> None:
    write_raw(tmp_path, brick(), LOSSLESS, maskbits=np.zeros((9, 9), np.int32))
    with pytest.raises(BrickError, match="different shapes"):
        read_brick(tmp_path, NAME, BANDS)
