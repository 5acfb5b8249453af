"""The table of stacks, and what is refused before anything starts."""

from pathlib import Path

import numpy as np
import pytest

from skydenoise.config import PatchSettings, PredictSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.table import check_stacks, read_stacks
from tests.stacks.builders import make_stack


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "stacks.tsv"


def test_rows_of_stacks_are_known_by_their_files_or_by_their_axes(table: Path, tmp_path: Path) -> None:
    table.write_text(
        "\ufeffbrick\tband\timage\thdu\taxes\tdataset\n"
        "a\t\ta.TIF\nb\t\tsub/b.h5\t\tnyx\tscan/data\nc\t\tc.fits\t1\tnyx\nd\t\td.mrc\n"
    )
    assert read_stacks(table) == {
        "a": StackFile(tmp_path / "a.TIF"),
        "b": StackFile(tmp_path / "sub/b.h5", "scan/data", "nyx"),
        "c": StackFile(tmp_path / "c.fits", "1", "nyx"),
        "d": StackFile(tmp_path / "d.mrc"),
    }


def test_images_of_the_sky_are_no_stacks(table: Path) -> None:
    table.write_text("brick\tband\timage\tplane\taxes\na\tg\ta.fits\t3\t\na\tr\ta.fits.fz\t4\t\n")
    assert read_stacks(table) == {}


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("brick\timage\tplane", "a\ta.tif\t0", "line 2: stack a: column plane is for images of the sky"),
        ("brick\timage\tband", "a\ta.tif\tg", "line 2: stack a: column band is for images of the sky"),
        (
            "brick\timage\thdu",
            "a\ta.tif\t1",
            "line 2: stack a: give the column dataset or, for FITS alone, hdu",
        ),
        ("brick\timage\taxes", "a\ta.png\tnyx", "line 2: .*a.png: no kind of stack; known are .tif"),
        ("brick\timage\taxes", "a\t\tnyx", "line 2: stack a: the path of its file is missing"),
        ("brick\timage", "a#b\ta.tif", "line 2: brick 'a#b' is not of the form"),
        ("brick\timage", "a\ta.tif\na\tb.tif", "line 3: stack a is listed twice"),
        (
            "brick\timage\tband",
            "a\ta.tif\t\nsky\ts.fits\tg",
            "a is a stack of frames, sky is an image of the sky",
        ),
        ("brick\timage", 'a\t"a.tif', "line 2: a quote is not closed"),
        ("brick\tfile", "a\ta.tif", "column image is missing"),
    ],
)
def test_a_row_that_is_no_stack_is_refused(header: str, row: str, message: str, table: Path) -> None:
    table.write_text(f"{header}\n{row}\n")
    with pytest.raises(SettingsError, match=message) as refused:
        read_stacks(table)
    assert str(refused.value).startswith(str(table))


@pytest.mark.parametrize(
    ("name", "purpose", "message"),
    [
        ("a", "train", "patches.size: 24 is more than the frames of .*a.npy have"),
        ("a", "predict", "predict.tile: 20 is more than the frames of"),
        ("colours", "predict", r"survey.bands: 1 names \(e\) for .*colours.npy, whose frames have 3"),
        ("b", "train", "survey.files: there is no stack b, only a, colours, lost"),
        ("lost", "train", "lost.mrc: there is no such file; mend it, or say no to stack lost"),
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
        check_stacks(files, purposes, ("e",), PatchSettings(size=24), PredictSettings(tile=20, overlap=0))
