"""Models of earlier epochs: each in a folder epochs/<epoch>/ beside the last one."""

import shutil
from pathlib import Path

EPOCHS = "epochs"
"""Folder of the folders of models, each named by its epoch, from 00001 on."""


def snapshots(model: Path) -> dict[int, Path]:
    """Folders of the kept models by epoch, in order of the epochs."""
    return {int(folder.name): folder for folder in sorted((model / EPOCHS).glob("[0-9]*"))}


def clear_snapshots(model: Path, later_than: int) -> None:
    """Remove what an earlier training kept beyond an epoch."""
    for epoch, folder in snapshots(model).items():
        if epoch > later_than:
            shutil.rmtree(folder)
