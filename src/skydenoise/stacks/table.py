"""Stacks among the rows of `survey.files`, and what the settings can do with them."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from skydenoise.config import PatchSettings, PredictSettings, check_frames
from skydenoise.errors import SettingsError, StepError
from skydenoise.image_table import ListedImage
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import check_channels, open_stack, suffix_of

OF_STACKS = ("brick", "image", "hdu", "axes", "dataset")
"""Columns that have a meaning for a stack."""


def stacks_of(table: Path, images: Sequence[ListedImage]) -> dict[str, StackFile]:
    """Stacks by their names; empty if the rows are images of the sky.

    table : file that the rows come from, for messages

    Raises SettingsError if both stand in one table, if a stack has a column that is for images of the sky, or
    if its file is of no known kind.
    """
    stacks = [image for image in images if image.is_stack]
    skies = [image for image in images if not image.is_stack]
    if stacks and skies:
        raise SettingsError(
            f"{table}: {stacks[0].brick} is a stack of frames, {skies[0].brick} is an image of the sky: "
            "give each kind a table and a run of its own"
        )
    try:
        return {stack.brick: _stack_file(stack) for stack in stacks}
    except SettingsError as error:
        raise SettingsError(f"{table}: {error}") from None


def _stack_file(row: ListedImage) -> StackFile:
    for column in (field.name for field in fields(row) if field.name not in OF_STACKS):
        if getattr(row, column) not in ("", None):
            raise SettingsError(
                f"stack {row.brick}: column {column} is for images of the sky: leave it empty"
            )
    suffix = suffix_of(row.image)
    if row.hdu is not None and (row.dataset or not suffix.startswith(".fits")):
        raise SettingsError(f"stack {row.brick}: give the column dataset or, for FITS alone, hdu")
    return StackFile(row.image, row.dataset if row.hdu is None else str(row.hdu), row.axes)


def check_files(
    stacks: Mapping[str, StackFile],
    purposes: Mapping[str, Sequence[str]],
    bands: Sequence[str],
    patches: PatchSettings,
    predict: PredictSettings,
) -> None:
    """Open every stack that is used, and refuse what the settings cannot do with it.

    purposes : "train" and "predict" -> names of stacks

    Raises SettingsError for other channels than `bands` or frames smaller than a patch or a tile, StepError
    if a file is missing or damaged; see `open_stack`.
    """
    for name in dict.fromkeys(name for names in purposes.values() for name in names):
        try:
            with open_stack(stacks[name]) as stack:
                check_channels(stack, bands)
                shape = stack.axes.frame_shape[1:]
        except StepError as error:
            raise StepError(f"{error}; mend it, or say no to stack {name} in the table of bricks") from None
        frames = f"the frames of {stacks[name].path}"
        if name in purposes["train"]:
            check_frames("patches.size", patches.size, frames, shape)
        if name in purposes["predict"]:
            check_frames("predict.tile", predict.tile, frames, shape)
