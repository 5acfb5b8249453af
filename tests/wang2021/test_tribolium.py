"""CARE's folders are understood, anything else is one clear line; the stand-in's projections are compared."""

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


def archive(root, names=("a.tif", "b.tif")):
    """The layout of CARE's archive: the stacks of three conditions and their long exposure."""
    for name in names:
        write(root / "test_data" / "GT" / name, STACK + 1000, metadata=None)
        for number in (1, 2, 3):
            write(root / "test_data" / f"condition_{number}" / name, STACK + number)
    (root / "train_data").mkdir()
    np.savez(root / "train_data" / "data_label.npz", X=np.zeros((2, 1, 4, 8, 8)), Y=np.zeros((2, 1, 4, 8, 8)))
    return root


def load(path, **options):
    return simulate(TriboliumSettings(path=str(path), **options), np.random.default_rng(0))


def test_the_archive_gives_a_stack_of_the_condition_and_its_long_exposure(tmp_path):
    data = load(archive(tmp_path), condition="condition_2")
    np.testing.assert_array_equal(data.noisy[:, 0], STACK + 2.0)
    np.testing.assert_array_equal(data.clean[:, 0], STACK + 1000.0)
    assert data.noisy.dtype == np.float32
    assert data.measured == len(STACK)


def test_the_example_of_csbdeep_is_understood_too_test_before_train(tmp_path):
    for part, offset in (("train", 5), ("test", 6)):
        write(tmp_path / part / "low" / "nGFP.tif", STACK + offset, imagej=True, metadata={"axes": "ZYX"})
        write(tmp_path / part / "GT" / "nGFP.tif", STACK + 50 + offset)
    data = load(tmp_path, condition="low")
    np.testing.assert_array_equal(data.noisy[:, 0], STACK + 6.0)
    np.testing.assert_array_equal(data.clean[:, 0], STACK + 56.0)


def test_conditions_below_a_folder_low_are_found_and_a_stack_can_be_named(tmp_path):
    write(tmp_path / "GT" / "a.tif", STACK + 9)
    write(tmp_path / "GT" / "b.tif", STACK + 10)
    for name in "ab":
        write(tmp_path / "low" / "condition_1" / f"{name}.tif", STACK)
    assert load(tmp_path, stack="b").clean[0, 0, 0, 0] == STACK[0, 0, 0] + 10
    assert load(tmp_path / "low" / "condition_1" / "a.tif").clean[0, 0, 0, 0] == STACK[0, 0, 0] + 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"condition": "condition_7"},
            r"no stack .* in a folder condition_7 .* GT, condition_1, condition_2",
        ),
        ({"stack": "c.tif"}, "no stack c.tif"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(tmp_path, options, words):
    with pytest.raises(StepError, match=words):
        load(archive(tmp_path), **options)


def test_missing_files_and_shapes_that_differ_are_one_line(tmp_path):
    with pytest.raises(StepError, match="unpack CARE's Tribolium data set"):
        load(tmp_path / "nowhere")
    np.savez(tmp_path / "data_label.npz", X=np.zeros(3))
    with pytest.raises(StepError, match="training pairs alone"):
        load(tmp_path)
    alone = write(tmp_path / "low" / "a.tif")
    with pytest.raises(StepError, match="a file of the same name is wanted in a folder GT"):
        load(alone)
    write(tmp_path / "GT" / "a.tif", STACK[:, :10])
    with pytest.raises(StepError, match="they are no pair"):
        load(alone)
    write(alone, STACK[0])
    with pytest.raises(StepError, match=r"a stack .z, y, x. of one channel"):
        load(alone)


def test_the_stand_in_is_a_dim_egg_with_bright_nuclei_and_zero_mean_noise():
    data = simulate(SMALL, np.random.default_rng(0))
    assert data.noisy.shape == (8, 1, 120, 60)
    noise = data.noisy - data.clean
    assert abs(noise.mean()) < 0.1
    variance = SMALL.read_noise**2 + SMALL.gain * (data.clean - SMALL.offset)
    np.testing.assert_allclose(np.mean(noise**2 / variance), 1, rtol=0.05)
    assert data.clean[:, :, :5, :5].max() < SMALL.offset + 0.2
    assert data.clean.max() > SMALL.offset + 0.7 * SMALL.gain * SMALL.peak
    np.testing.assert_array_equal(simulate(SMALL, np.random.default_rng(0)).noisy, data.noisy)


def test_the_truth_has_ssim_1_whatever_its_scale_and_the_noisy_stack_less():
    data = simulate(SMALL, np.random.default_rng(0))
    clean, noisy = data.clean[:, 0], data.noisy[:, 0]
    other_scale = measure(3 * clean + 7, clean)
    assert other_scale["ssim"] == pytest.approx(1, abs=1e-3)
    assert other_scale["ssim_plain"] < 0.9
    assert measure(noisy, clean)["ssim"] < 0.6
    assert measure(noisy, clean)["psnr"] < measure(0.9 * clean + 0.1 * noisy, clean)["psnr"]


def test_the_standard_error_is_the_scatter_of_pieces():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 200))
    truth = truth + np.roll(truth, 1, axis=0)
    mixed = truth.copy()
    mixed[:100] += rng.normal(size=(100, 200))
    assert projection_ssim(mixed, truth).error > 0.05 > projection_ssim(truth, truth).error
    assert np.isnan(projection_ssim(truth[:60, :60], truth[:60, :60]).error)


@pytest.mark.parametrize("wrong", [{"slices": 0}, {"gain": -1.0}])
def test_impossible_stand_ins_are_refused(wrong):
    with pytest.raises(SettingsError, match=f"frames.{next(iter(wrong))}"):
        dataclasses.replace(SMALL, **wrong)
