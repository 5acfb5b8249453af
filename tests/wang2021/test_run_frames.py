"""Bottleneck, patch size and Tribolium, each whole at toy size: one target makes figures and numbers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.table import Table
from PIL import Image

from .conftest import Experiment

pytestmark = pytest.mark.workflow

NETWORK = {"layout": "lean", "levels": 3, "width": 4, "residual_blocks": 1, "outputs": 3}
PREDICT = {"tile": 64, "overlap": 16}
TOYS = {
    "bottleneck": {
        "frames": {"frames": 4, "series": 2, "size": 128, "measured": 2, "radius": [15, 25], "atoms": 120},
        "variants": dict.fromkeys(["channels_1", "channels_4", "channels_64", "channels_16_l1"]),
        "patches": {"size": 64, "count": 16},
        "model": NETWORK,
        "train": {"epochs": 3, "batch_size": 4, "snapshots": 1, "ema_decay": 0.5},
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
        "train": {"epochs": 2, "snapshots": 1},
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


def run(name: str, folder: Path, experiment: Experiment) -> Path:
    """Folder of what the command makes of a toy."""
    folder.mkdir()
    toy = folder / "toy.yaml"
    toy.write_text(yaml.safe_dump(TOYS[name] | {"run": "toy"}))
    experiment(folder, "--cores", "1", "--configfile", f"config/{name}.yaml", "toy.yaml")
    return folder / "results/toy"


@pytest.fixture(scope="module")
def results(tmp_path_factory, experiment):
    """Folder of each toy's results; they run side by side, since most of their time is one core's."""
    root = tmp_path_factory.mktemp("paper")
    with ThreadPoolExecutor(2) as pool:
        folders = pool.map(lambda name: run(name, root / name, experiment), TOYS)
        return dict(zip(TOYS, folders, strict=True))


@pytest.fixture(scope="module")
def bottleneck(results):
    return results["bottleneck"]


@pytest.fixture(scope="module")
def patch_size(results):
    return results["patch_size"]


@pytest.fixture(scope="module")
def tribolium(results):
    return results["tribolium"]


def row(folder: Path, method: str):
    table = Table.read(folder / "measures.ecsv", format="ascii.ecsv")
    return table[table["method"] == method][0]


def is_picture(path: Path) -> bool:
    """Whether a PNG holds more than one colour."""
    with Image.open(path) as image:
        return len(set(image.convert("L").resize((64, 64)).tobytes())) > 3


def test_widths_of_the_bottleneck_are_measured_and_followed(bottleneck):
    assert all(is_picture(bottleneck / f"figure-{name}.png") for name in ("panel", "convergence"))
    table = Table.read(bottleneck / "measures.ecsv", format="ascii.ecsv")
    assert list(table["method"]) == ["noisy", "gaussian", "channels_16"]
    assert row(bottleneck, "channels_16")["roughness"] < row(bottleneck, "noisy")["roughness"]
    assert row(bottleneck, "channels_16")["error"] > 0
    assert row(bottleneck, "channels_16")["seconds"] > 0
    assert "channels_16" in (bottleneck / "summary.txt").read_text()


def test_snapshots_are_kept_for_each_epoch_and_the_last_is_the_model(bottleneck):
    kept = sorted((bottleneck / "channels_16").glob("epoch-*.npy"))
    assert len(kept) == 3
    last = np.load(kept[-1])
    np.testing.assert_allclose(
        last, np.load(bottleneck / "channels_16/denoised.npy")[-len(last) :], atol=1e-5
    )


def test_patch_sizes_are_measured_on_the_same_frames(patch_size):
    assert all(is_picture(patch_size / f"figure-{name}.png") for name in ("panel", "rows", "convergence"))
    assert row(patch_size, "noisy")["patch"] == 0
    assert row(patch_size, "patch_128")["patch"] == 64
    assert row(patch_size, "patch_512")["patch"] == 128
    assert 0 < row(patch_size, "noisy")["long_range"] < 1
    assert np.isfinite(row(patch_size, "patch_512")["sharpness"])


def test_projections_of_the_stand_in_are_compared(tribolium):
    assert is_picture(tribolium / "figure-projection.png")
    assert -1 <= row(tribolium, "channels_64")["ssim"] <= 1
    assert row(tribolium, "channels_64")["seconds"] > 0
    assert -1 <= row(tribolium, "Noise2Self")["ssim"] <= 1
    assert "stand-in" in (tribolium / "summary.txt").read_text()


@pytest.mark.parametrize("name", ["glyphs", *sorted(TOYS)])
def test_the_small_presets_can_be_planned(name, tmp_path, experiment, request):
    if name == "glyphs":
        request.getfixturevalue("glyph_font")
    files = [f"config/{name}.yaml", f"config/small/{name}.yaml"]
    done = experiment(tmp_path, "--dry-run", "--configfile", *files)
    assert "rule report" in done.stdout
