"""The files of stacks held against the settings, before any job starts."""

from collections.abc import Mapping, Sequence

from skydenoise.errors import SettingsError
from skydenoise.frames.scale import check_channels
from skydenoise.frames.stack import open_stack
from skydenoise.frames.table import StackFile
from skydenoise.settings import PatchSettings, PredictSettings


def check_files(
    stacks: Mapping[str, StackFile],
    purposes: Mapping[str, Sequence[str]],
    bands: Sequence[str],
    patches: PatchSettings,
    predict: PredictSettings,
) -> None:
    """Open every stack that is used, and refuse what the settings cannot do with it.

    purposes : "train" and "predict" -> names of stacks

    Raises
    ------
    SettingsError : other channels than `bands`, frames smaller than a patch or a tile, no such dataset, axes
        that do not fit
    StepError : a file is missing or damaged
    """
    least = {"train": ("patches.size", patches.size), "predict": ("predict.tile", predict.tile)}
    for name in dict.fromkeys(name for names in purposes.values() for name in names):
        file = stacks[name]
        with open_stack(file.path, dataset=file.dataset, axes=file.axes) as stack:
            check_channels(stack, bands)
            height, width = stack.shape
            for purpose, (key, size) in least.items():
                if name in purposes[purpose] and min(stack.shape) < size:
                    raise SettingsError(
                        f"{key}: {size} is more than the frames of {file.path} have, {height}x{width} (y, x)"
                    )
