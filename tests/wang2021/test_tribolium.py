"""Two stacks are read, anything else is one clear line; the stand-in's projections are compared."""

import dataclasses

import numpy as np
import pytest
import tifffile

from experiments.wang2021.settings import TriboliumSettings
from experiments.wang2021.tribolium import simulate
from experiments.wang2021.tribolium_report import measure, projection_ssim
from skydenoise.errors import SettingsError, StepError

SMALL = TriboliumSettings(slices=8, height=120, width=60, nuclei=20)
STACK = np.random.default_rng(0).integers(90, 200, (4, 20, 30)).astype(np.uint16)


def write(path, stack=STACK, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, stack, photometric="minisblack", **options)
    return path


def load(noisy, clean):
    return simulate(TriboliumSettings(noisy=str(noisy), clean=str(clean)), np.random.default_rng(0))


def test_a_stack_and_its_long_exposure_are_the_frames(tmp_path):
    noisy = write(tmp_path / "low/nGFP.tif", imagej=True, metadata={"axes": "ZYX"})
    data = load(noisy, write(tmp_path / "GT/nGFP.tif", STACK + 1000))
    np.testing.assert_array_equal(data.noisy, STACK + 0.0)
    np.testing.assert_array_equal(data.clean, STACK + 1000.0)
    assert data.noisy.dtype == np.float32
    assert data.measured == len(STACK)


def test_files_that_are_no_pair_or_no_tiff_are_one_line(tmp_path):
    noisy = write(tmp_path / "low.tif")
    with pytest.raises(StepError, match="they are no pair"):
        load(noisy, write(tmp_path / "gt.tif", STACK[:, :10]))
    one = write(tmp_path / "one.tif", STACK[0])
    with pytest.raises(StepError, match="they are no pair"):
        load(one, one)
    (tmp_path / "text.tif").write_text("none")
    with pytest.raises(StepError, match="cannot be read as TIFF"):
        load(noisy, tmp_path / "text.tif")


def test_the_stand_in_is_a_dim_egg_with_bright_nuclei_and_zero_mean_noise():
    data = simulate(SMALL, np.random.default_rng(0))
    assert data.noisy.shape == (8, 120, 60)
    noise = data.noisy - data.clean
    assert abs(noise.mean()) < 0.1
    variance = SMALL.read_noise**2 + SMALL.gain * (data.clean - SMALL.offset)
    np.testing.assert_allclose(np.mean(noise**2 / variance), 1, rtol=0.05)
    assert data.clean[:, :5, :5].max() < SMALL.offset + 0.2
    assert data.clean.max() > SMALL.offset + 0.7 * SMALL.gain * SMALL.peak
    np.testing.assert_array_equal(simulate(SMALL, np.random.default_rng(0)).noisy, data.noisy)


def test_the_truth_has_ssim_1_whatever_its_scale_and_the_noisy_stack_less():
    data = simulate(SMALL, np.random.default_rng(0))
    clean, noisy = data.clean, data.noisy
    other_scale = measure(3 * clean + 7, clean)
    assert other_scale["ssim"].value == pytest.approx(1, abs=1e-3)
    assert other_scale["ssim_plain"].value < 0.9
    assert measure(noisy, clean)["ssim"].value < 0.6
    assert measure(noisy, clean)["psnr"].value < measure(0.9 * clean + 0.1 * noisy, clean)["psnr"].value


def test_the_standard_error_is_the_scatter_of_pieces():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 200))
    truth = truth + np.roll(truth, 1, axis=0)
    mixed = truth.copy()
    mixed[:100] += rng.normal(size=(100, 200))
    assert projection_ssim(mixed, truth).error > 0.05 > projection_ssim(truth, truth).error
    assert np.isnan(projection_ssim(truth[:60, :60], truth[:60, :60]).error)


@pytest.mark.parametrize("wrong", [{"slices": 0}, {"gain": -1.0}, {"clean": "a.tif"}])
def test_impossible_stand_ins_are_refused(wrong):
    with pytest.raises(SettingsError, match=f"frames.{next(iter(wrong))}"):
        dataclasses.replace(SMALL, **wrong)
