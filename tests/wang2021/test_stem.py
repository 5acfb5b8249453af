"""The simulated STEM frames hold what they say, and the measures tell a rough support and a lost atom."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from experiments.wang2021.atoms import candidates, equal_false_threshold, recovery, roughness
from experiments.wang2021.bottleneck_report import by_epoch, epochs_to_half, measure
from experiments.wang2021.outcome import Denoised
from experiments.wang2021.settings import StemSettings
from experiments.wang2021.stem import draw_frames, frames_of, simulate
from skydenoise.errors import SettingsError

SMALL = StemSettings(frames=4, series=2, size=192, measured=2, radius=(20, 40), atoms=120)


@pytest.fixture(scope="module")
def data():
    return simulate(SMALL, np.random.default_rng(0))


def test_the_seed_gives_the_same_frames_and_another_others(data):
    again = simulate(SMALL, np.random.default_rng(0))
    np.testing.assert_array_equal(again.noisy, data.noisy)
    assert again.notes == data.notes
    assert (simulate(SMALL, np.random.default_rng(1)).clean != data.clean).any()


def test_frames_are_counted_electrons_about_the_expectation(data):
    assert data.noisy.shape == (4, 192, 192)
    assert data.noisy.dtype == data.clean.dtype == np.float32
    np.testing.assert_array_equal(data.noisy, np.rint(data.noisy))
    pull = (data.noisy - data.clean) / np.sqrt(data.clean)
    assert abs(pull.mean()) < 0.01
    assert abs(pull.std() - 1) < 0.01


def test_lone_atoms_stand_alone_on_the_support_with_their_height(data):
    for frame in frames_of(data):
        assert len(frame.atoms) > 3
        near = np.rint(frame.atoms).astype(int)
        assert not frame.particles[tuple(near.T)].any()
        heights = ndimage.map_coordinates(np.asarray(frame.clean, float), frame.atoms.T, order=3)
        assert np.all(np.abs(heights - SMALL.atom - SMALL.support) < 0.6 * SMALL.support)
        empty = frame.clean[frame.empty(SMALL.probe)]
        assert 0.2 * SMALL.support < empty.min() < empty.max() < 1.8 * SMALL.support
        assert frame.clean[frame.particles].max() > 2 * SMALL.atom


def test_a_series_is_one_scene_that_changes_a_little():
    frames = list(draw_frames(dataclasses.replace(SMALL, frames=4), np.random.default_rng(0)))
    within, between = (
        np.corrcoef(frames[i].particles.ravel(), frames[i + 1].particles.ravel())[0, 1] for i in (0, 1)
    )
    assert within > 0.95 > between + 0.2
    assert (frames[0].clean != frames[1].clean).any()


def test_atoms_are_all_found_in_the_truth_and_none_where_the_image_is_flat(data):
    frames = frames_of(data)
    found, false = recovery([candidates(frame.clean, frame, SMALL) for frame in frames], SMALL.atom / 2)
    assert (found.value, false.value) == (1, 0)
    flat = [candidates(np.full_like(frame.clean, 0.5), frame, SMALL) for frame in frames]
    found, _ = recovery(flat, SMALL.atom / 2)
    assert found.value == 0
    assert found.error > 0


def test_at_the_equal_threshold_false_atoms_are_as_rare_as_asked(data):
    frames = frames_of(data)
    noisy = ndimage.gaussian_filter(data.noisy[-2:], (0, 1, 1))
    peaks = [candidates(image, frame, SMALL) for image, frame in zip(noisy, frames, strict=True)]
    found, false = recovery(peaks, equal_false_threshold(peaks))
    assert 0 < false.value <= 1
    assert recovery(peaks, 0.1)[1].value > 10
    assert 0.3 < found.value <= 1


def test_roughness_is_the_noise_of_the_support_and_not_its_slow_change():
    y, x = np.mgrid[:128, :128]
    slow = np.sin(x / 40) + y / 64
    empty = x < 100
    noise = np.random.default_rng(0).normal(size=slow.shape) * 0.1
    assert roughness(slow, empty) < 0.02
    np.testing.assert_allclose(roughness(slow + noise, empty), 0.1, rtol=0.05)
    assert roughness(slow + 100 * (x >= 100), empty) < 0.02
    assert np.isnan(roughness(slow, x < 0))


def test_the_table_prefers_the_truth(data):
    frames = frames_of(data)
    noisy = measure(data.noisy[-2:], frames, SMALL)
    clean = measure(data.clean[-2:], frames, SMALL)
    assert clean["error"] == clean["particles"] == 0 < noisy["error"] < noisy["particles"]
    assert clean["roughness"] < 0.05 * noisy["roughness"]
    assert clean["found_fair"] == 1 > noisy["found_fair"]


def test_epochs_are_counted_until_half_of_the_way():
    epochs = np.array([1, 2, 4])
    slow = epochs, np.array([[5.0, 4.0], [4.0, 3.5], [2.0, 2.5]])
    fast = epochs, np.array([[4.0, 5.0], [1.0, 2.0], [1.0, 1.0]])
    stuck = epochs, np.array([[5.0, 5.0], [4.0, 4.0], [4.0, 4.0]])
    needed = epochs_to_half({"slow": slow, "fast": fast, "stuck": stuck})  # half is 3 in both frames
    np.testing.assert_allclose(needed["slow"].value, (3 + 3) / 2)
    np.testing.assert_allclose(needed["fast"].value, (1 + 1 / 3 + 1 + 2 / 3) / 2)
    assert needed["fast"].error > 0
    assert np.isnan(needed["stuck"].value)
    assert epochs_to_half({"none": (np.empty(0), np.empty((0, 2)))}) == {}


def test_a_variant_without_snapshots_has_an_empty_curve(data):
    epochs, errors, rough = by_epoch(Denoised(data.noisy[-2:], 1.0), frames_of(data), SMALL)
    assert len(epochs) == len(errors) == len(rough) == 0


@pytest.mark.parametrize(
    "wrong", [{"frames": 0}, {"support": 0.0}, {"radius": (50, 20)}, {"radius": (10, 200)}]
)
def test_impossible_frames_are_refused(wrong):
    with pytest.raises(SettingsError, match=f"frames.{next(iter(wrong))}"):
        dataclasses.replace(SMALL, **wrong)
