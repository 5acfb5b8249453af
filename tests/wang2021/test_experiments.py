"""The experiments on frames, each whole at toy size, step by step as in the workflow: figures and numbers."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from experiments.wang2021.baseline_training import training_beside
from experiments.wang2021.catalogue import EXPERIMENTS
from experiments.wang2021.configuration import Configuration
from experiments.wang2021.denoise import denoise_variant, run_baseline
from experiments.wang2021.frames import cut_frames
from experiments.wang2021.outcome import read_outcome
from experiments.wang2021.snapshots import FollowedTraining
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train

from .conftest import FONT, configured

NETWORK = {"layout": "residual_unet", "levels": 3, "width": 4, "residual_blocks": 1, "outputs": 3}
PREDICT = {"tile": 64, "overlap": 16}
TOYS = {
    "glyphs": {
        "frames": {"font": str(FONT), "characters": "ABCDEFGHKLMNOPQRSTUVWXYZ", "size": 32},
        "variants": {"l2": None, "l2_single": None},
        "patches": {"size": 32, "count": 24},
        "model": {"layout": "residual_unet", "width": 2, "residual_blocks": 0},
        "train": {"epochs": 2, "batch_size": 8},
        "snapshots": 2,
        "predict": {"tile": 32},
    },
    "bottleneck": {
        "frames": {"frames": 4, "series": 2, "size": 128, "measured": 2, "radius": [15, 25], "atoms": 120},
        "variants": dict.fromkeys(["channels_1", "channels_4", "channels_64", "channels_16_l1"]),
        "patches": {"size": 64, "count": 16},
        "model": NETWORK,
        "train": {"epochs": 3, "batch_size": 4, "ema_decay": 0.5},
        "snapshots": 1,
        "predict": PREDICT,
    },
    "patch_size": {
        "frames": {"frames": 2, "size": 192},
        "variants": {
            "patch_128": {"patches": {"size": 64, "count": 16}, "train": {"batch_size": 4}},
            "patch_512": {
                "patches": {"size": 128, "count": 4},
                "train": {"batch_size": 1},
                "predict": {"tile": 128, "overlap": 32},
            },
            "patch_1024": None,
        },
        "model": NETWORK,
        "train": {"epochs": 2},
        "snapshots": 1,
        "predict": PREDICT,
    },
    "tribolium": {
        "baselines": ["Noise2Self"],
        "frames": {"slices": 4, "height": 128, "width": 96, "nuclei": 10},
        "variants": {"channels_64": {}, "channels_4": None},
        "patches": {"size": 64, "count": 16},
        "model": NETWORK,
        "train": {"epochs": 2, "batch_size": 4},
        "predict": PREDICT,
    },
}


def run(name: str, folder: Path) -> Path:
    """Make a toy in a folder, without Snakemake."""
    configuration = Configuration.of(configured(f"{name}.yaml", TOYS[name]))
    experiment = EXPERIMENTS[configuration.experiment]
    experiment.simulate(configuration.frames, np.random.default_rng(configuration.seed)).write(folder)
    for name, variant in configuration.variants.items():
        place = folder / name
        cut_frames(folder, variant.patches, place / "patches")
        files = (place / "patches", folder / "noise.json", place / "model", place / "training.csv")
        settings = (variant.architecture, variant.train, configuration.softening)
        job = TrainJob(*files, place / "tensorboard", *settings)
        train(job, partial(FollowedTraining, every=configuration.snapshots))
        denoise_variant(place, variant.predict)
    first = folder / next(iter(configuration.variants))
    for name in configuration.baselines:
        predict = configuration.variants[first.name].predict
        training = training_beside(first / "patches", first / "model/model.json", predict, 0)
        run_baseline(name, folder / name, training)
    experiment.report(read_outcome(folder, configuration), folder)
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Function that gives the folder of a toy's results, made once."""
    root = tmp_path_factory.mktemp("experiments")
    return cache(lambda name: run(name, root / name))


def row(folder: Path, method: str):
    table = Table.read(folder / "measures.ecsv", format="ascii.ecsv")
    return table[table["method"] == method][0]


def is_picture(path: Path) -> bool:
    """Whether a PNG holds more than one colour."""
    with Image.open(path) as image:
        return len(set(image.convert("L").resize((64, 64)).tobytes())) > 3


def test_widths_of_the_bottleneck_are_measured_and_followed(results):
    bottleneck = results("bottleneck")
    assert all(is_picture(bottleneck / f"figure-{name}.png") for name in ("panel", "convergence"))
    table = Table.read(bottleneck / "measures.ecsv", format="ascii.ecsv")
    assert list(table["method"]) == ["noisy", "gaussian", "channels_16"]
    assert row(bottleneck, "channels_16")["roughness"] < row(bottleneck, "noisy")["roughness"]
    assert row(bottleneck, "channels_16")["error"] > 0
    assert row(bottleneck, "channels_16")["seconds"] > 0
    assert "channels_16" in (bottleneck / "summary.txt").read_text()


def test_snapshots_are_kept_for_each_epoch_and_the_last_is_the_model(results):
    bottleneck = results("bottleneck")
    kept = sorted((bottleneck / "channels_16").glob("epoch-*.npy"))
    assert len(kept) == 3
    last = np.load(kept[-1])
    np.testing.assert_allclose(
        last, np.load(bottleneck / "channels_16/denoised.npy")[-len(last) :], atol=1e-5
    )


def test_patch_sizes_are_measured_on_the_same_frames(results):
    patch_size = results("patch_size")
    assert all(is_picture(patch_size / f"figure-{name}.png") for name in ("panel", "rows", "convergence"))
    assert row(patch_size, "noisy")["patch"] == 0
    assert row(patch_size, "patch_128")["patch"] == 64
    assert row(patch_size, "patch_512")["patch"] == 128
    assert 0 < row(patch_size, "noisy")["long_range"] < 1
    assert np.isfinite(row(patch_size, "patch_512")["sharpness"])


def test_projections_of_the_stand_in_are_compared(results):
    tribolium = results("tribolium")
    assert is_picture(tribolium / "figure-projection.png")
    assert -1 <= row(tribolium, "channels_64")["ssim"] <= 1
    assert row(tribolium, "channels_64")["seconds"] > 0
    assert -1 <= row(tribolium, "Noise2Self")["ssim"] <= 1
    assert "stand-in" in (tribolium / "summary.txt").read_text()


def test_glyphs_are_measured_beside_a_baseline_that_trained_as_long(results):
    folder = results("glyphs")
    assert all(is_picture(folder / f"figure-{name}.png") for name in ("panel", "convergence", "contrast"))
    table = Table.read(folder / "measures.ecsv", format="ascii.ecsv")
    assert list(table["method"]) == ["noisy", "l1", "l1_single", "Noise2Self"]
    assert list(table["glyphs"]) == [24] * 4
    assert row(folder, "l1")["psnr"] > row(folder, "noisy")["psnr"]
    assert row(folder, "Noise2Self")["seconds"] == pytest.approx(row(folder, "l1")["seconds"])
