"""A chunk of bricks: one bad brick stops no other, and nothing that is done is done again."""

import errno
import logging
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from astropy.io import fits

from skydenoise.config import Architecture, OutputSettings, PredictSettings, RecoverSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.io import Brick, flag_bit, read_denoised
from skydenoise.io.fitsfile import write_survey_image
from skydenoise.io.manifest import read_manifest
from skydenoise.io.rawbrick import write_raw
from skydenoise.network import ModelDescription, Network, save_model
from skydenoise.noise import NoiseModel
from skydenoise.noise.levels import noise_levels
from skydenoise.paths import coadd_file, raw_file
from skydenoise.predict import Chunk, Denoiser, load_denoiser, predict_bricks
from skydenoise.predict.calibrate import calibrate_model
from skydenoise.predict.chunk import process_died
from skydenoise.stretch import Stretch

BANDS = ("g", "r")
SIGMA = 0.01
LOSSLESS = OutputSettings("lossless")
TINY = Architecture(bands=2, levels=2, width=4, bottleneck=4, outputs=2, skips=False)
NAMES = ["1410m032", "1411m032", "1412m032", "1413m032"]


@pytest.fixture(autouse=True)
def one_thread():
    """Threads of torch that wait for each other make tiny networks slow on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Identity(torch.nn.Module):
    def forward(self, u):
        return (u,)


class Faulty(torch.nn.Module):
    """Fails on very bright tiles, as a GPU out of memory would: for a reason that lies not in the brick."""

    def forward(self, u):
        if u.max() > 10:
            raise RuntimeError("out of\nmemory")
        return (u,)


def denoiser_of(network=None, **settings):
    levels = np.stack([noise_levels(np.ones((1, 1)), 5)] * 2)
    noise = NoiseModel(BANDS, (SIGMA,) * 2, (1.0,) * 2, np.ones((2, 1, 1)), levels)
    architecture = Architecture(bands=2, levels=2, outputs=1, skips=False)
    description = ModelDescription(architecture, BANDS, Stretch(3.0), noise, {}, sha256="ab" * 32)
    settings = PredictSettings(tile=32, overlap=8, recover=RecoverSettings(False), **settings)
    return Denoiser(network or Identity(), description, settings)


def raw_brick(cache, name, shape=(40, 50)):
    header = fits.Header()
    for key, value in {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 141.0, "CRVAL2": -3.2}.items():
        header[key] = value
    for key, value in {"CRPIX1": 20.0, "CRPIX2": 20.0, "CD1_1": -7e-5, "CD2_2": 7e-5}.items():
        header[key] = value
    image = np.random.default_rng(int(name[:4])).normal(0, SIGMA, (2, *shape)).astype(np.float32)
    invvar = np.full_like(image, SIGMA**-2)
    brick = Brick(name, BANDS, image, invvar, np.zeros(image.shape, bool), (header, header))
    write_raw(cache, brick, LOSSLESS)
    return brick


@pytest.fixture
def survey(tmp_path):
    """Cache and results folder, and four raw bricks."""
    bricks = {name: raw_brick(tmp_path / "raw", name) for name in NAMES}
    return tmp_path / "raw", tmp_path / "results", bricks


def predict(survey, denoiser=None, names=NAMES, output=LOSSLESS):
    return predict_by(lambda: denoiser or denoiser_of(), survey, names, output, 1)


def predict_by(load, survey, names, output, crew):
    cache, root, _ = survey
    entries = predict_bricks(names, Chunk(cache, root, load, output), root / "chunk.tsv", crew)
    listed = sorted((replace(entry, seconds=0.0) for entry in entries), key=lambda entry: entry.brick)
    assert [replace(entry, seconds=0.0) for entry in read_manifest(root / "chunk.tsv")] == listed
    return {entry.brick: entry for entry in entries}


def times(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*.fits.fz")}


def test_a_chunk_is_denoised_and_listed(survey):
    entries = predict(survey)
    assert list(entries) == NAMES
    for name, brick in survey[2].items():
        denoised = read_denoised(survey[1], name, BANDS)
        np.testing.assert_allclose(denoised.image, brick.image, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(denoised.sigma, SIGMA, rtol=0.02)  # as the brick itself shows
        assert (entries[name].state, entries[name].files, entries[name].reason) == ("done", 5, "")
    assert len({entry.sha256 for entry in entries.values()}) == len(NAMES)
    assert len(times(survey[1])) == 5 * len(NAMES)


def test_headers_say_how_it_was_made(survey):
    predict(survey, names=NAMES[:1])
    header = fits.getheader(coadd_file(survey[1], NAMES[0], "image", "r"), 1)
    assert header["SDMODEL"] == "ab" * 16
    assert (header["SDTILE"], header["SDOVERL"], header["SDRECOV"]) == (32, 8, "no")
    assert (header["SDPREC"], header["SDSIGMA"]) == ("float32", "noise of the input")
    assert header["CRVAL1"] == 141.0


def test_bits_that_a_mask_lacks_are_told(survey):
    bits, header = np.zeros((40, 50), np.int32), fits.Header({"MBIT_2": "SATUR_G", "MBIT_5": "ALLMASK_G"})
    write_survey_image(raw_file(survey[0], NAMES[0], "maskbits"), bits, header, output=LOSSLESS)
    for state in ("done", "kept"):
        entry = predict(survey, names=NAMES[:1])[NAMES[0]]
        assert (entry.state, entry.unmasked) == (state, "SATUR_R ALLMASK_R")


def test_a_brick_that_lacks_a_band_is_denoised_in_the_others(survey):
    for kind in ("image", "invvar"):
        raw_file(survey[0], NAMES[1], kind, "r").unlink()
    for _ in range(2):
        entry = predict(survey)[NAMES[1]]
        assert (entry.files, entry.bands, entry.foreign) == (3, "g", "")
        assert re.fullmatch(r"0\.0\d+ 0; -?0\.\d+ -?0\.000", entry.noise)
    assert entry.state == "kept"
    denoised = read_denoised(survey[1], NAMES[1], BANDS)
    np.testing.assert_allclose(denoised.image[0], survey[2][NAMES[1]].image[0], rtol=1e-5, atol=1e-8)
    assert not denoised.image[1].any()
    assert (denoised.flags == 1 << flag_bit("NODATA", 1)).all()
    raw_brick(survey[0], NAMES[1])
    entry = predict(survey)[NAMES[1]]
    assert (entry.state, entry.files, entry.bands) == ("done", 5, "g r")


def test_running_again_repeats_nothing(survey):
    first = predict(survey)
    before = times(survey[1])
    again = predict(survey)
    assert times(survey[1]) == before
    assert {entry.state for entry in again.values()} == {"kept"}
    assert [entry.sha256 for entry in again.values()] == [entry.sha256 for entry in first.values()]


def test_a_brick_named_twice_is_done_once(survey):
    assert len(predict(survey, names=NAMES[:1] * 3)) == 1


def test_an_empty_chunk_has_an_empty_manifest(survey):
    assert predict(survey, names=[]) == {}


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-2000])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-3000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, lambda path: path.unlink()])
def test_a_damaged_output_is_made_again_and_it_alone(survey, damage):
    first = predict(survey)
    before = times(survey[1])
    damage(coadd_file(survey[1], NAMES[1], "sigma", "g"))
    again = predict(survey)
    assert [entry.state for entry in again.values()] == ["kept", "done", "kept", "kept"]
    assert {path for path, time in times(survey[1]).items() if time != before.get(path)} == {
        path for path in before if NAMES[1] in path.name
    }
    assert again[NAMES[1]].sha256 == first[NAMES[1]].sha256


def test_other_settings_or_pixels_make_a_brick_again(survey):
    predict(survey)
    raw_brick(survey[0], NAMES[2], shape=(48, 48))
    states = [entry.state for entry in predict(survey).values()]
    assert states == ["kept", "kept", "done", "kept"]
    other = predict(survey, denoiser_of(low_coverage=0.5), names=NAMES[:1])
    assert other[NAMES[0]].state == "done"
    assert predict(survey, names=NAMES[:1], output=OutputSettings())[NAMES[0]].state == "done"


def no_band(cache, name):
    raw_file(cache, name, "image", "r").unlink()


def empty(cache, name):
    raw_file(cache, name, "invvar", "g").write_bytes(b"")


def small(cache, name):
    raw_brick(cache, name, shape=(31, 64))


def truncated(cache, name):
    cut_short(raw_file(cache, name, "image", "r"))


def nowhere_finite(cache, name):
    fits.PrimaryHDU(np.full((40, 50), np.nan)).writeto(raw_file(cache, name, "invvar", "g"), overwrite=True)


def no_wcs(cache, name):
    path = raw_file(cache, name, "image", "g")
    fits.PrimaryHDU(fits.getdata(path, 1)).writeto(path, overwrite=True)


def other_shape(cache, name):
    for kind in ("image", "invvar"):
        path = raw_file(cache, name, kind, "r")
        pixels, header = fits.getdata(path, 1, header=True)
        fits.ImageHDU(pixels[:-1], header).writeto(path, overwrite=True)


@pytest.mark.parametrize(
    ("spoil", "facts"),
    [
        (truncated, ("band r", "image-r.fits.fz", "truncated")),
        (nowhere_finite, ("band g", "no valid pixel")),
        (no_wcs, ("band g", "no usable WCS")),
        (other_shape, ("band r", "differs from", "of band g")),
        (no_band, ("band r", "no file")),
        (empty, ("band g", "empty")),
        (small, ("image 64x31 is smaller than a tile of 32",)),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_one_bad_brick_is_skipped_with_its_reason(survey, spoil, facts, place):
    bad = NAMES[place]
    spoil(survey[0], bad)
    entries = predict(survey)
    assert {name: entry.state for name, entry in entries.items()} == {
        name: "skipped" if name == bad else "done" for name in NAMES
    }
    reason = entries[bad].reason
    assert reason.startswith(f"brick {bad}")
    assert "\n" not in reason
    for fact in facts:
        assert fact in reason
    assert (entries[bad].files, entries[bad].sha256) == (0, "")
    assert not any(bad in path.name for path in times(survey[1]))


def test_an_unexpected_error_fails_the_job_after_the_others_are_done(survey, caplog):
    cache, root, bricks = survey
    bricks[NAMES[1]].image[0, 3, 3] = 1e6
    write_raw(cache, bricks[NAMES[1]], LOSSLESS)
    with caplog.at_level(logging.INFO, "skydenoise"), pytest.raises(StepError) as caught:
        predict(survey, denoiser_of(Faulty()))
    assert "1 of 4 bricks failed unexpectedly" in str(caught.value)
    assert f"brick {NAMES[1]}: RuntimeError: out of memory" in str(caught.value)
    states = {entry.brick: entry.state for entry in read_manifest(root / "chunk.tsv")}
    assert states == {name: "skipped" if name == NAMES[1] else "done" for name in NAMES}
    assert "4 bricks: 3 done, 0 kept, 1 skipped" in caplog.text


def test_a_full_disk_stops_the_chunk_with_one_line(survey, full_disk):
    predict(survey, names=NAMES[:1])
    with full_disk(), pytest.raises(StepError) as caught:
        predict(survey)
    assert "no space left" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(survey[1].rglob("*partial*"))
    assert len(times(survey[1])) == 5
    assert [entry.state for entry in predict(survey).values()] == ["kept", "done", "done", "done"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disks_and_quotas_are_told_from_other_errors(survey, number):
    class Full(torch.nn.Module):
        def forward(self, u):
            raise OSError(number, "full")

    with pytest.raises(StepError, match="no space left"):
        predict(survey, denoiser_of(Full()))


def test_a_saved_model_is_calibrated_and_predicts_with_its_uncertainty(survey, tmp_path):
    cache, root, _ = survey
    description = denoiser_of().description
    torch.manual_seed(0)
    save_model(tmp_path / "model", Network(TINY), replace(description, architecture=TINY))
    settings = PredictSettings(tile=32, overlap=8)
    measured = calibrate_model(tmp_path / "model", NAMES[:2], cache, settings, seed=1, device="cpu")
    denoiser = load_denoiser(tmp_path / "model", settings, "cpu")
    assert denoiser.uncertainty == measured
    assert predict(survey, denoiser, names=NAMES[:1])[NAMES[0]].state == "done"
    denoised = read_denoised(root, NAMES[0], BANDS)
    assert 0 < denoised.sigma.min() < denoised.sigma.max() < 3 * SIGMA
    assert fits.getheader(coadd_file(root, NAMES[0], "sigma", "g"), 1)["SDSIGMA"] == "calibrated"
    with pytest.raises(SettingsError, match="measure it again"):
        load_denoiser(tmp_path / "model", replace(settings, overlap=16), "cpu")


def test_bricks_side_by_side_are_those_of_one_process(survey, tmp_path, caplog):
    cache, root, _ = survey
    description = replace(denoiser_of().description, architecture=TINY)
    torch.manual_seed(0)
    save_model(tmp_path / "model", Network(TINY), description)
    load = partial(load_denoiser, tmp_path / "model", PredictSettings(tile=32, overlap=8), "cpu")
    truncated(cache, NAMES[2])
    one = predict_by(load, survey, NAMES, LOSSLESS, 1)
    content = {path: path.read_bytes() for path in times(root)}
    for path in content:
        path.unlink()
    caplog.clear()
    with caplog.at_level(logging.INFO, "skydenoise"):
        two = predict_by(load, survey, NAMES, LOSSLESS, 2)
    assert {path: path.read_bytes() for path in times(root)} == content
    assert [replace(entry, seconds=0.0) for entry in two.values()] == [
        replace(entry, seconds=0.0) for entry in one.values()
    ]
    assert caplog.text.count("no maskbits file") == 3
    assert f"skipped: brick {NAMES[2]}" in caplog.text


def test_a_brick_whose_process_died_is_skipped_and_more_memory_may_mend_it():
    crashed, killed = (process_died(NAMES[0], killed) for killed in (False, True))
    assert {crashed.entry.state, killed.entry.state} == {"skipped"}
    assert crashed.failure == ""  # the job goes on without it
    assert f"brick {NAMES[0]}: its process was killed, perhaps for lack of memory (mem_mb)" in killed.failure


def test_a_brick_that_cannot_be_read_is_left_out_of_the_calibration(survey, tmp_path, caplog):
    description = denoiser_of().description
    save_model(tmp_path / "model", Network(TINY), replace(description, architecture=TINY))
    settings = PredictSettings(tile=32, overlap=8, recover=RecoverSettings(False))
    no_band(survey[0], NAMES[0])
    calibrate_model(tmp_path / "model", NAMES[:2], survey[0], settings, seed=1, device="cpu")
    assert f"left out of calibration: brick {NAMES[0]}" in caplog.text
    with pytest.raises(StepError, match="no training brick can be used"):
        calibrate_model(tmp_path / "model", NAMES[:1], survey[0], settings, seed=1, device="cpu")
