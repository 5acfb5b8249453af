"""A network that learns from the images of another one."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from quality_inputs import noise_model
from small_brick import NAME, brick

from benchmarks.quality.distil import DistilledTraining, distil
from skydenoise.config import Architecture, PatchSettings, TrainSettings
from skydenoise.io.atomic import write_json
from skydenoise.network import ModelDescription, Network, load_model, save_model
from skydenoise.patches import cut_patches
from skydenoise.stretch import Stretch

BANDS = ("g", "r")
SHAPE = Architecture(bands=2, fold=1, levels=1, width=4, bottleneck=4, residual_blocks=0, outputs=1)
PUPIL = replace(SHAPE, width=8)
SETTINGS = TrainSettings(epochs=6, batch_size=4, validation=0.2, learning_rate=0.02, ema_decay=0.5)


class KilledError(Exception):
    """In place of a kill."""


class Interrupted(DistilledTraining):
    """A training that is killed in its third epoch."""

    def pair(self, patches, image, counts, epoch):
        if epoch == 2:
            raise KilledError
        return super().pair(patches, image, counts, epoch)


def make_teacher(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    save_model(folder, Network(SHAPE), ModelDescription(SHAPE, BANDS, Stretch(3.0), noise_model(bands=BANDS)))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Folder of a run with 20 patches."""
    folder = tmp_path / "run"
    settings = PatchSettings(size=16, count=20)
    cut_patches([NAME], partial(brick, bands=BANDS), settings, folder / "patches")
    write_json(folder / "patches/noise.json", noise_model(bands=BANDS).to_json())
    return folder


def test_a_pupil_learns_what_its_teacher_makes_of_noise(run: Path, tmp_path: Path) -> None:
    teacher = make_teacher(tmp_path / "teacher", 3)
    distil(run, teacher, tmp_path / "pupil", PUPIL, replace(SETTINGS, epochs=20))
    curve = np.genfromtxt(tmp_path / "pupil/training.csv", delimiter=",", names=True)
    assert curve["validation"][-1] < 0.5 * curve["validation"][0]
    assert load_model(tmp_path / "pupil")[1].provenance["teacher"] == load_model(teacher)[1].sha256


def test_images_are_those_of_this_teacher_and_are_kept(run: Path, tmp_path: Path) -> None:
    for seed in (3, 4, 4):
        teacher = make_teacher(tmp_path / f"teacher{seed}", seed)
        distil(run, teacher, tmp_path / f"pupil{seed}", PUPIL, SETTINGS)
    first, second = (np.load(file) for file in sorted((run / "taught").iterdir()))
    assert np.isfinite(first[1]).all()  # the draw of the validation, too: every patch
    assert not np.array_equal(first, second)


def test_one_that_was_killed_goes_on(run: Path, tmp_path: Path) -> None:
    teacher = make_teacher(tmp_path / "teacher", 3)
    settings = replace(SETTINGS, checkpoint_minutes=1e-9)
    with pytest.raises(KilledError):
        distil(run, teacher, tmp_path / "killed", PUPIL, settings, Interrupted)
    for name in ("killed", "whole"):
        distil(run, teacher, tmp_path / name, PUPIL, settings)
    weights = [load_model(tmp_path / name)[0].state_dict() for name in ("killed", "whole")]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name])
