"""Stacks in the table of images, and what is refused before anything starts."""

from pathlib import Path

import numpy as np
import pytest

from skydenoise.config import PatchSettings, PredictSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.image_table import ListedImage
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.table import check_files, stacks_of
from tests.stacks.builders import make_stack

TABLE = Path("t.tsv")


def test_rows_of_stacks_are_known_by_their_files_or_by_their_axes() -> None:
    rows = [
        ListedImage("a", "", Path("a.TIF")),
        ListedImage("b", "", Path("b.h5"), dataset="scan/data", axes="nyx"),
        ListedImage("c", "", Path("c.fits"), hdu=1, axes="nyx"),
        ListedImage("d", "", Path("d.mrc")),
    ]
    assert stacks_of(TABLE, rows) == {
        "a": StackFile(Path("a.TIF")),
        "b": StackFile(Path("b.h5"), "scan/data", "nyx"),
        "c": StackFile(Path("c.fits"), "1", "nyx"),
        "d": StackFile(Path("d.mrc")),
    }
    assert stacks_of(TABLE, [ListedImage("a", "g", Path("a.fits"), plane=3)]) == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"plane": 0}, "stack a: column plane is for images of the sky"),
        ({"band": "g"}, "stack a: column band is for images of the sky"),
        ({"mask": Path("m.fits")}, "stack a: column mask is for"),
        ({"hdu": 1}, "stack a: give the column dataset or, for FITS alone, hdu"),
        ({"image": Path("a.png"), "axes": "nyx"}, r"a.png: no kind of stack; known are .tif"),
    ],
)
def test_a_row_that_is_half_a_stack_is_refused(row: dict[str, object], message: str) -> None:
    half = ListedImage(**{"brick": "a", "band": "", "image": Path("a.tif")} | row)
    with pytest.raises(SettingsError, match=message):
        stacks_of(TABLE, [half])


def test_stacks_and_skies_in_one_table_are_refused() -> None:
    rows = [ListedImage("a", "", Path("a.tif")), ListedImage("sky", "g", Path("sky.fits"))]
    with pytest.raises(SettingsError, match=r"t.tsv: a is a stack of frames, sky is an image of the sky"):
        stacks_of(TABLE, rows)


@pytest.mark.parametrize(
    ("name", "purpose", "message"),
    [
        ("a", "train", r"patches.size: 24 is more than the frames of .*a.npy have"),
        ("a", "predict", r"predict.tile: 20 is more than the frames of"),
        ("colours", "predict", r"survey.bands: 1 names \(e\) for .*colours.npy, whose frames have 3"),
        ("lost", "train", r"lost.mrc: there is no such file; mend it, or say no to stack lost"),
    ],
)
def test_what_cannot_be_done_with_a_stack_is_refused(
    name: str, purpose: str, message: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", make_stack(2, 16, 40))
    np.save(tmp_path / "colours.npy", make_stack(2, 3, 40, 40))
    files = {end.split(".")[0]: StackFile(tmp_path / end) for end in ("a.npy", "colours.npy", "lost.mrc")}
    purposes = {"train": [], "predict": []} | {purpose: [name]}
    with pytest.raises((SettingsError, StepError), match=message):
        check_files(files, purposes, ("e",), PatchSettings(size=24), PredictSettings(tile=20, overlap=0))
