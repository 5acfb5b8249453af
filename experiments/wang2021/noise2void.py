"""Noise2Void (Krull, Buchholz & Jug 2019) by CAREamics: its defaults, on a U-Net as deep and wide as ours."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from experiments.wang2021.baseline_training import BaselineTraining, Values
from skydenoise.evaluate.images import Method

CHECKPOINT = "noise2void.ckpt"
OVERLAP = 48
"""CAREamics' default."""
DEPTH, CHANNELS = 4, 16
"""Of CAREamics' U-Net: as deep and as wide as ours."""
TILES_AT_ONCE = 8


@contextmanager
def torchvision_to_hand() -> Iterator[None]:
    """Let CAREamics be imported without torchvision.

    It asks for two names of it at import that Noise2Void never calls, and the registry's torchvision is built
    for the torch of GPUs alone. If it is not installed, an empty module stands in its place meanwhile.
    """
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    stands_in = {}
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        for name in names:
            module = ModuleType(name)
            module.__spec__ = ModuleSpec(name, None, is_package=True)
            module.__dict__.update(__version__="0", __path__=[])
            stands_in[name] = module
    sys.modules.update(stands_in)
    try:
        yield
    finally:
        for name in stands_in:
            del sys.modules[name]


def careamics() -> tuple[Any, Any, Any]:
    """CAREamist, the maker of its configuration and the reader of a checkpoint's.

    Raises ImportError where CAREamics is not installed.
    """
    import lightning.pytorch  # noqa: F401
    import torchmetrics.image  # noqa: F401  # both look for torchvision at import: not to find the stand-in

    with torchvision_to_hand():
        from careamics import CAREamist
        from careamics.config.factories import create_advanced_n2v_config
        from careamics.lightning.utils.load_checkpoint import load_config_from_checkpoint
    return CAREamist, create_advanced_n2v_config, load_config_from_checkpoint


def accelerator(training: BaselineTraining) -> str:
    """Lightning's word for the training's device."""
    return "cpu" if training.device == "cpu" else "gpu"


def train(training: BaselineTraining, folder: Path, *, depth: int = DEPTH, channels: int = CHANNELS) -> int:
    """Train for `training.seconds`; leaves CAREamics' checkpoint in `folder`, returns the number of steps."""
    careamist, make_config, _ = careamics()
    bands, *edges = training.patches.shape
    config = make_config(
        "noise2void",
        "array",
        "SCYX",
        edges,
        training.batch,
        num_epochs=1_000_000,
        n_channels=bands,
        independent_channels=False,
        num_workers=0,
        model_params={"depth": depth, "num_channels_init": channels},
        trainer_params={
            "max_time": {"seconds": training.seconds},
            "min_epochs": 0,  # or one whole epoch would be trained, whatever the time
            "accelerator": accelerator(training),
            "enable_model_summary": False,
            "log_every_n_steps": 1,
        },
        seed=training.seed or 1,  # CAREamics refuses 0
    )
    with tempfile.TemporaryDirectory(prefix="noise2void-") as work:
        trained = careamist(config, work_dir=work, enable_progress_bar=False)
        images = training.patches.get(np.arange(len(training.patches)))[0]
        trained.train(train_data=training.stretched(images))
        (last,) = Path(work).rglob("*last.ckpt")
        shutil.copyfile(last, folder / CHECKPOINT)
    return int(trained.trainer.global_step)


def load(training: BaselineTraining, folder: Path) -> Method:
    """The trained method. CAREamics reads its checkpoint again at every prediction.

    The configuration comes from there, too: it holds the mean and scatter of the patches.
    """
    careamist, _, read_config = careamics()
    config = read_config(folder / CHECKPOINT)
    config.training_config.trainer_params["accelerator"] = accelerator(training)
    work = tempfile.TemporaryDirectory(prefix="noise2void-")
    trained = careamist(config, work_dir=work.name, enable_progress_bar=False)

    def apply(u: Values) -> Values:
        tiles = {"tile_size": (training.tile,) * 2, "tile_overlap": (OVERLAP, OVERLAP)}
        if min(u.shape[1:]) <= training.tile:
            tiles = {}  # one tile is the whole image
        result, _ = trained.predict(
            u, axes="CYX", batch_size=TILES_AT_ONCE, checkpoint=folder / CHECKPOINT, **tiles
        )
        return np.asarray(result[0], dtype=np.float32).reshape(u.shape)

    apply.work = work  # type: ignore[attr-defined]  # goes with the method
    return partial(training.denoised, apply=apply)
