"""The files of stacks held against the settings, before any job starts."""

from collections.abc import Mapping, Sequence

from skydenoise.config import PatchSettings, PredictSettings, check_frames
from skydenoise.errors import StepError
from skydenoise.stacks.scale import check_channels
from skydenoise.stacks.stack import open_stack
from skydenoise.stacks.table import StackFile


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
    for name in dict.fromkeys(name for names in purposes.values() for name in names):
        file = stacks[name]
        try:
            with open_stack(file.path, dataset=file.dataset, axes=file.axes) as stack:
                check_channels(stack, bands)
                shape = stack.shape
        except StepError as error:
            raise StepError(f"{error}; mend it, or say no to stack {name} in the table of bricks") from None
        frames = f"the frames of {file.path}"
        if name in purposes["train"]:
            check_frames("patches.size", patches.size, frames, shape)
        if name in purposes["predict"]:
            check_frames("predict.tile", predict.tile, frames, shape)
