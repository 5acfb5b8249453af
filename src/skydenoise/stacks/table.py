"""The table of stacks, and what the settings can do with them: checked before any job starts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from skydenoise.config import PatchSettings, PredictSettings, check_frames
from skydenoise.errors import SettingsError, StepError
from skydenoise.io.tables import read_table
from skydenoise.paths import check_brick_name
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import MODULES, check_channels, open_stack, suffix_of

COLUMNS = ("brick", "image", "hdu", "axes", "dataset")
"""What a row of a stack may say; the other columns of the table are for images of the sky."""


def read_stacks(path: Path) -> dict[str, StackFile]:
    """Stacks by name, from the table `survey.files`; empty if its rows are images of the sky.

    A row is a stack if it has axes or a dataset, or if its file is of a kind that holds no skies.

    Raises
    ------
    SettingsError : see `read_table`; stacks and images of the sky stand in one table; a stack is listed twice
        or has a column that is for images of the sky; its file is of no known kind
    """
    rows = read_table(path, ("brick", "image"))
    kinds = {_is_stack(cells): cells.get("brick") for cells in rows.values()}
    if len(kinds) == 2:
        raise SettingsError(
            f"{path}: {kinds[True]} is a stack of frames, {kinds[False]} is an image of the sky: "
            "give each kind a table and a run of its own"
        )
    stacks: dict[str, StackFile] = {}
    for line, cells in rows.items() if True in kinds else ():
        try:
            name, stack = _stack(cells, path.parent)
            if name in stacks:
                raise SettingsError(f"stack {name} is listed twice")
        except SettingsError as error:
            raise SettingsError(f"{path}, line {line}: {error}") from None
        stacks[name] = stack
    return stacks


def _is_stack(cells: Mapping[str, str]) -> bool:
    of_frames_alone = tuple(suffix for suffix in MODULES if not suffix.startswith(".fits"))
    return bool({"axes", "dataset"} & set(cells)) or cells.get("image", "").lower().endswith(of_frames_alone)


def _stack(cells: Mapping[str, str], folder: Path) -> tuple[str, StackFile]:
    name = check_brick_name(cells.get("brick", ""), survey=False)
    if "image" not in cells:
        raise SettingsError(f"stack {name}: the path of its file is missing")
    if others := set(cells) - set(COLUMNS):
        raise SettingsError(
            f"stack {name}: column {', '.join(sorted(others))} is for images of the sky: leave it empty"
        )
    suffix = suffix_of(folder / cells["image"])
    if "hdu" in cells and (not suffix.startswith(".fits") or "dataset" in cells):
        raise SettingsError(f"stack {name}: give the column dataset or, for FITS alone, hdu")
    dataset = cells.get("dataset", cells.get("hdu", ""))
    return name, StackFile(folder / cells["image"], dataset, cells.get("axes", ""))


def check_stacks(
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
    SettingsError : a stack is not in the table, has other channels than `bands`, or frames smaller than a
        patch or a tile; or see `open_stack`
    StepError : a file is missing or damaged
    """
    for name in dict.fromkeys(name for names in purposes.values() for name in names):
        if name not in stacks:
            raise SettingsError(f"survey.files: there is no stack {name}, only {', '.join(stacks)}")
        try:
            with open_stack(stacks[name]) as stack:
                check_channels(stack, bands)
                shape = stack.frame_shape[1:]
        except StepError as error:
            raise StepError(f"{error}; mend it, or say no to stack {name} in the table of bricks") from None
        frames = f"the frames of {stacks[name].path}"
        if name in purposes["train"]:
            check_frames("patches.size", patches.size, frames, shape)
        if name in purposes["predict"]:
            check_frames("predict.tile", predict.tile, frames, shape)
