from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from external_images import SHAPE, header, scene, write

from skydenoise.io.wcs import celestial_wcs
from skydenoise.survey.external.plane import ImageError, read_plane


def test_asinh_pixels_become_linear(tmp_path: Path) -> None:
    flux = 1000 * scene()
    cards = header()
    cards["BOFFSET"], cards["BSOFTEN"] = 0.3, 2.0
    path = write(tmp_path / "ps1.fits", (1.0857362 * np.arcsinh((flux - 0.3) / 4)).astype("f8"), cards)
    plane = read_plane(path, None, None)
    np.testing.assert_allclose(plane.pixels, flux, rtol=1e-6, atol=1e-6)
    assert not {"BOFFSET", "BSOFTEN"} & set(plane.header)
    assert "asinh scaling undone" in str(plane.header["HISTORY"])


@pytest.mark.parametrize("cards", [{"BSOFTEN": 2.0}, {"BOFFSET": 0.3}, {"BSOFTEN": 2.0, "BOFFSET": "none"}])
def test_half_an_asinh_scaling_is_refused(cards: dict[str, object], tmp_path: Path) -> None:
    path = write(tmp_path / "ps1.fits", scene(), fits.Header({**header(), **cards}))
    with pytest.raises(ImageError, match="scaled by asinh"):
        read_plane(path, None, None)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_blank_integers_are_no_data_and_zeros_are_some(scaled: bool, packed: bool, tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(-3, 4, SHAPE).astype(np.int32)
    stored[5, 6] = -2147483648
    cards = header()
    cards["BLANK"] = -2147483648
    hdu = (fits.CompImageHDU if packed else fits.ImageHDU)(stored, cards)
    if scaled:
        hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 1.0
    path = tmp_path / "blank.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    plane = read_plane(path, None, None)
    assert plane.blank
    assert np.argwhere(np.isnan(plane.pixels)).tolist() == [[5, 6]]
    expected = stored[:5] * (0.5 if scaled else 1) + (1 if scaled else 0)
    np.testing.assert_allclose(plane.pixels[:5], expected)
    assert not read_plane(write(tmp_path / "float.fits", scene(), header()), None, None).blank


def test_a_plane_of_radio_axes_keeps_the_sky_alone(tmp_path: Path) -> None:
    cards = header()
    for axis, ctype in ((3, "FREQ"), (4, "STOKES")):
        cards[f"CTYPE{axis}"], cards[f"CRVAL{axis}"] = ctype, 1.0
        cards[f"CDELT{axis}"], cards[f"CRPIX{axis}"], cards[f"PC{axis}_{axis}"] = 1.0, 1.0, 1.0
    cards["PC003001"], cards["WCSAXES"] = 0.0, 4
    plane = read_plane(write(tmp_path / "radio.fits", scene()[None, None], cards), None, None)
    assert plane.pixels.shape == SHAPE
    assert not [key for key in plane.header if key.endswith(("3", "4")) or key.startswith(("PC", "WCSAXES"))]
    assert celestial_wcs(plane.header).wcs.compare(celestial_wcs(header()).wcs)


def test_a_wrong_checksum_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(scene(), header()).writeto(path, checksum=True)
    read_plane(path, None, None)
    content = bytearray(path.read_bytes())
    content[8000] ^= 4
    path.write_bytes(content)
    with pytest.raises(ImageError, match="a checksum in the file does not hold"):
        read_plane(path, None, None)


def test_an_image_that_no_memory_holds_is_told_by_its_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", np.zeros((40, 50), np.float32), header())
    for key, size in ((b"NAXIS1", b"50"), (b"NAXIS2", b"40")):
        old = key + b"  = " + size.rjust(20)
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, key + b"  = " + b"2000000".rjust(20)))
    with pytest.raises(ImageError, match="GB are needed for its pixels, the job has"):
        read_plane(path, None, None)
