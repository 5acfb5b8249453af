import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_brick import BANDS, LOSSLESS, NAME, PROVENANCE, brick, denoised, wcs_header

from skydenoise import paths
from skydenoise.config import OutputSettings
from skydenoise.errors import BrickError, SettingsError
from skydenoise.io import (
    complete_bands,
    flag_bit,
    read_denoised,
    write_brick,
)
from skydenoise.io.fitsfile import kept_cards, read_survey_image


def test_a_band_that_a_brick_lacks_has_no_product(tmp_path: Path) -> None:
    whole = brick()
    write_brick(tmp_path, whole, denoised(whole), LOSSLESS, PROVENANCE)
    written = replace(whole, invvar=whole.invvar.copy())
    written.invvar[1] = 0
    files = write_brick(tmp_path, written, denoised(whole), LOSSLESS, PROVENANCE | {"key": "k2"})
    assert sorted(tmp_path.rglob("*.fits.fz")) == sorted(files)
    assert complete_bands(tmp_path, NAME, "k2") == ("g", "z")
    found = read_denoised(tmp_path, NAME, BANDS)
    np.testing.assert_array_equal(found.image[[0, 2]], denoised(whole).image[[0, 2]])
    assert not found.image[1].any()
    assert np.isnan(found.sigma[1]).all()


@pytest.mark.parametrize("output", [OutputSettings(), OutputSettings("rice", 1e-3), LOSSLESS])
def test_a_denoised_brick_comes_back(tmp_path: Path, output: OutputSettings) -> None:
    written = denoised(brick())
    paths = write_brick(tmp_path, brick(), written, output, PROVENANCE)
    assert [path.name for path in paths[-2:]] == [
        f"skydenoise-{NAME}-sigma-z.fits.fz",
        f"skydenoise-{NAME}-flags.fits.fz",
    ]
    assert sorted(tmp_path.rglob("*.fits.fz")) == sorted(paths)
    found = read_denoised(tmp_path, NAME, BANDS)
    half = 0.5001 * output.step if output.compression == "rice" else 0
    assert np.abs(found.image - written.image).max() <= half
    assert (found.image[brick().invvar == 0] == 0).all()
    np.testing.assert_array_equal(np.isnan(found.sigma), np.isnan(written.sigma))
    assert np.nanmax(np.abs(found.sigma - written.sigma)) <= 0.1 * half
    np.testing.assert_array_equal(found.flags, written.flags)
    assert found.flags.dtype == np.int32


def test_sigma_is_never_rounded_away(tmp_path: Path) -> None:
    written = denoised(brick())
    written.sigma[:, 60:] *= np.float32(1e-3)  # much deeper than most of the brick
    write_brick(tmp_path, brick(), written, OutputSettings(), PROVENANCE)
    valid = brick().invvar > 0
    ratio = read_denoised(tmp_path, NAME, BANDS).sigma[valid] / written.sigma[valid]
    assert 0.499 < ratio.min() < ratio.max() < 1.501


def test_headers_keep_every_card_and_say_what_was_done(tmp_path: Path) -> None:
    write_brick(tmp_path, brick(), denoised(brick()), OutputSettings(), PROVENANCE)
    _, header = read_survey_image(paths.coadd_file(tmp_path, NAME, "image", "r"))
    original = [card.image for card in kept_cards(wcs_header())]
    assert [card.image for card in kept_cards(header)][: len(original)] == original
    assert (header["SDMODEL"], header["SDKEY"], header["SDTILE"]) == ("0123456789abcdef", "k1", 128)
    assert "made this" in str(header["HISTORY"])
    _, sigma = read_survey_image(paths.coadd_file(tmp_path, NAME, "sigma", "r"))
    assert (sigma["IMTYPE"], sigma["BUNIT"], sigma["CRVAL1"]) == ("sigma", "nanomaggy", 141.0)
    assert sigma["EXTNAME"] == "SIGMA_r"


def test_flags_name_their_bits(tmp_path: Path) -> None:
    write_brick(tmp_path, brick(), denoised(brick()), OutputSettings(), PROVENANCE)
    _, header = read_survey_image(paths.coadd_file(tmp_path, NAME, "flags"))
    assert header["BITNM0"] == "NODATA_G"
    assert header[f"BITNM{flag_bit('INPAINTED', 2)}"] == "INPAINTED_Z"
    assert sum(key.startswith("BITNM") for key in header) == 15
    assert "BUNIT" not in header


def test_flag_bits() -> None:
    kinds = ("NODATA", "RECOVERED", "INPAINTED", "LOWCOV", "BORROWED")
    assert [flag_bit(kind, 1) for kind in kinds] == [5, 6, 7, 8, 9]
    with pytest.raises(SettingsError, match="room for 6 bands"):
        flag_bit("NODATA", 6)


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify (Debian package) is not installed")
def test_fitsverify_has_no_complaint(tmp_path: Path) -> None:
    long = PROVENANCE | {"settings": "threshold 5 4.5 4 4 4; " * 6}
    for path in write_brick(tmp_path, brick(), denoised(brick()), OutputSettings(), long):
        run = subprocess.run(["fitsverify", str(path)], capture_output=True, text=True)
        assert "found 0 warning(s) and 0 error(s)" in run.stdout, run.stdout + run.stderr


def test_complete_means_all_there_unharmed_and_of_this_key(tmp_path: Path) -> None:
    assert not complete_bands(tmp_path, NAME, "k1")
    paths = write_brick(tmp_path, brick(), denoised(brick()), OutputSettings(), PROVENANCE)
    assert complete_bands(tmp_path, NAME, "k1")
    assert not complete_bands(tmp_path, NAME, "k2")
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(content[:-2880])
        assert not complete_bands(tmp_path, NAME, "k1")
        path.unlink()
        assert not complete_bands(tmp_path, NAME, "k1")
        path.write_bytes(content)
    assert complete_bands(tmp_path, NAME, "k1")


def test_a_damaged_product_is_reported(tmp_path: Path) -> None:
    paths = write_brick(tmp_path, brick(), denoised(brick()), OutputSettings(), PROVENANCE)
    for path, place in ((paths[0], "band g, .*image-g.fits.fz"), (paths[-1], r"flags\.fits\.fz")):
        content = path.read_bytes()
        path.write_bytes(content[:-3000] + bytes([content[-3000] ^ 1]) + content[-2999:])
        with pytest.raises(
            BrickError, match=rf"{place}: .*SUM does not hold\) \(snakemake --forcerun predict"
        ):
            read_denoised(tmp_path, NAME, BANDS)
        path.write_bytes(b"")
        with pytest.raises(BrickError, match=rf"{place}: the file is empty"):
            read_denoised(tmp_path, NAME, BANDS)
        path.write_bytes(content)


@pytest.mark.parametrize("size", [30_000, 100_000])
def test_a_full_disk_gives_a_brick_error_and_no_partial_file(tmp_path: Path, size: int) -> None:
    """A limit on the size of files, in a process of its own, is the full disk that any user can have."""
    script = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[1]);"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}));"
        "import small_brick as t; from pathlib import Path; from skydenoise.io import write_brick;"
        "b = t.brick(shape=(400, 400));"
        "write_brick(Path(sys.argv[2]), b, t.denoised(b), t.OutputSettings(), t.PROVENANCE)"
    )
    run = subprocess.run(
        [sys.executable, "-B", "-c", script, str(Path(__file__).parents[1]), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert "skydenoise.errors.BrickError: brick 1410m032, " in run.stderr
    assert "image-g.fits.fz: cannot be written: [Errno 27] File too large" in run.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != size


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_gives_a_brick_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BrickError, match="cannot be written"):
        write_brick(tmp_path, brick(), denoised(brick()), OutputSettings(), PROVENANCE)


def test_a_file_in_the_way_of_a_folder_gives_a_brick_error(tmp_path: Path) -> None:
    (tmp_path / "coadd").write_text("in the way")
    with pytest.raises(BrickError, match="cannot be written"):
        write_brick(tmp_path, brick(), denoised(brick()), OutputSettings(), PROVENANCE)


def test_shapes_that_do_not_fit_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    wrong = denoised(brick(shape=(100, 100)))
    with pytest.raises(ValueError, match="is expected"):
        write_brick(tmp_path, brick(), wrong, OutputSettings(), PROVENANCE)
