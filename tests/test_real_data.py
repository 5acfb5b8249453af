"""What the house does with pixels that no simulation made."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError
from skydenoise.image_table import ListedImage
from skydenoise.io import Denoised, read_brick, write_brick
from skydenoise.io.fitsfile import kept_cards, read_survey_image
from skydenoise.survey.external.bricks import import_brick

pytestmark = pytest.mark.real

DR6_BRICK = "0959p805"


@pytest.fixture
def dr6(real_data: Path) -> Path:
    return real_data / "dr6/coadd"


def test_the_dr6_brick_lacks_band_r(dr6: Path) -> None:
    brick = read_brick(dr6, DR6_BRICK, ("g", "r", "z"))
    assert brick.present == ("g", "z")
    assert not brick.usable[1].any()


def test_the_dr6_brick_is_read_with_its_partial_coverage(dr6: Path) -> None:
    brick = read_brick(dr6, DR6_BRICK, ("g", "z"))
    assert brick.shape == (3600, 3600)
    g, z = (brick.invvar > 0).mean(axis=(1, 2))
    assert 0.1 < g < 0.13
    assert 0 < z < 1e-4
    assert (brick.image[brick.invvar == 0] == 0).all()
    exposures, _ = read_survey_image(paths.raw_file(dr6, DR6_BRICK, "nexp", "g"))
    np.testing.assert_array_equal(brick.usable[0], exposures > 0)  # no weight was taken for a rounded 0
    signal = brick.image[0][brick.usable[0]] * np.sqrt(brick.invvar[0][brick.usable[0]])
    assert 0.8 < 1.4826 * np.median(np.abs(signal - np.median(signal))) < 1.0  # what facts/survey.md measured
    assert not brick.masked.any()


def test_the_dr6_header_survives_card_by_card(dr6: Path, tmp_path: Path) -> None:
    brick = read_brick(dr6, DR6_BRICK, ("g",))
    denoised = Denoised(
        brick.image, np.where(brick.invvar > 0, np.float32(0.01), np.nan), np.zeros(brick.shape, np.int32)
    )
    path, *_ = write_brick(tmp_path, brick, denoised, OutputSettings(), {"model": "m", "key": "k"})
    with (
        fits.open(paths.raw_file(dr6, DR6_BRICK, "image", "g"), disable_image_compression=True) as old,
        fits.open(path, disable_image_compression=True, checksum=True) as new,
    ):
        expected = [card.image for card in kept_cards(old[1].header)]
        found = [card.image for card in kept_cards(new[1].header)]
    assert found[: len(expected)] == expected
    assert path.stat().st_size < 1.1 * paths.raw_file(dr6, DR6_BRICK, "image", "g").stat().st_size
    if shutil.which("fitsverify"):
        run = subprocess.run(["fitsverify", str(path)], capture_output=True, text=True)
        assert "found 0 warning(s) and 0 error(s)" in run.stdout


def test_sdss_frames_become_one_aligned_brick(real_data: Path, tmp_path: Path) -> None:
    images = [
        ListedImage("2010H", band, real_data / f"sdss_2010H/SDSS_{band}.fits") for band in ("r", "i", "z")
    ]
    assert import_brick(images, "2010H", ("r", "i", "z"), tmp_path).state == "done"
    brick = read_brick(tmp_path, "2010H", ("r", "i", "z"))
    assert brick.shape == (900, 900)
    assert (brick.invvar > 0).mean() > 0.99
    np.testing.assert_array_equal(brick.image[0], fits.getdata(images[0].image, 0))
    peaks = [np.unravel_index(np.argmax(image[400:500, 400:500]), (100, 100)) for image in brick.image]
    assert np.ptp(peaks, axis=0).max() <= 1  # the galaxy's centre in every band
    assert len({header["CRPIX1"] for header in brick.headers}) == 1


def test_viewer_cutouts_are_cubes_without_units(real_data: Path, tmp_path: Path) -> None:
    file = real_data / "decals_cutouts/temp_small.fits"
    with pytest.raises(BrickError, match=r"units are not given .* \(give the column units"):
        import_brick([ListedImage("small", "g", file, plane=0)], "small", ("g",), tmp_path)
    images = [
        ListedImage("small", band, file, plane=plane, units="nanomaggy") for plane, band in enumerate("grz")
    ]
    import_brick(images, "small", ("g", "r", "z"), tmp_path)
    np.testing.assert_array_equal(
        read_brick(tmp_path, "small", ("g", "r", "z")).image, fits.getdata(file).astype(np.float32)
    )
