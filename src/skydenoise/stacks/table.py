"""Stacks among the rows of `survey.files`; light enough to import while Snakemake parses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from skydenoise.errors import SettingsError
from skydenoise.image_table import ListedImage
from skydenoise.stacks.formats import output_suffix, suffix_of

OF_STACKS = ("brick", "band", "image", "hdu", "axes", "dataset")
"""Columns that have a meaning for a stack; it has no band, though."""


@dataclass(frozen=True)
class StackFile:
    """A stack in a file.

    path, dataset, axes : as for `open_stack`
    """

    path: Path
    dataset: str = ""
    axes: str = ""

    @property
    def suffix(self) -> str:
        """End of the name of the denoised stack."""
        return output_suffix(self.path)


def stacks_of(table: Path, images: Sequence[ListedImage]) -> dict[str, StackFile]:
    """Stacks by their names; empty if the rows are images of the sky.

    table : file that the rows come from, for messages

    Raises
    ------
    SettingsError : both stand in one table; a stack has a column that is for images of the sky; its file is
        of no known kind
    """
    stacks = [image for image in images if image.is_stack]
    skies = [image for image in images if not image.is_stack]
    if stacks and skies:
        raise SettingsError(
            f"{table}: {stacks[0].brick} is a stack of frames, {skies[0].brick} is an image of the sky: "
            "give each kind a table and a run of its own"
        )
    return {stack.brick: _stack_file(table, stack) for stack in stacks}


def _stack_file(table: Path, row: ListedImage) -> StackFile:
    for field in fields(row):
        given = getattr(row, field.name)
        if (field.name not in OF_STACKS and given not in ("", None)) or (field.name == "band" and given):
            raise SettingsError(
                f"{table}: stack {row.brick}: column {field.name} is for images of the sky: leave it empty"
            )
    try:
        suffix = suffix_of(row.image)
    except SettingsError as error:
        raise SettingsError(f"{table}: stack {row.brick}: {error}") from None
    dataset = row.dataset
    if row.hdu is not None:
        if not suffix.startswith(".fits") or dataset:
            raise SettingsError(
                f"{table}: stack {row.brick}: give the column dataset or, for FITS alone, hdu"
            )
        dataset = str(row.hdu)
    return StackFile(row.image, dataset, row.axes)


def check_names(table: Path, stacks: Mapping[str, StackFile], wanted: Sequence[str]) -> None:
    """Raise SettingsError if a brick of the table of bricks is not among the stacks."""
    for name in wanted:
        if name not in stacks:
            raise SettingsError(f"{table}: there is no stack {name}, only {', '.join(stacks)}")
