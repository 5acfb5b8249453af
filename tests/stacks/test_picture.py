"""The picture of a stack before and after."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skydenoise.stacks.picture import draw_stack, grey_range
from skydenoise.stacks.pixels import StackFile
from tests.stacks.builders import copy, make_stack, save


@pytest.mark.parametrize(("kind", "shape"), [("hdf5", (3, 24, 20)), ("tiff", (3, 5, 24, 20))])
def test_the_picture_shows_the_first_channels(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    source = save(kind, tmp_path, make_stack(*shape, dtype="float32"))
    copy(source, tmp_path / f"out{source.suffix}")
    draw_stack(StackFile(source), tmp_path / f"out{source.suffix}", tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > 700 * (3 if len(shape) == 4 else 1)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50


def test_the_grey_scale_can_show_anything() -> None:
    low, high = grey_range(np.linspace(0, 1, 1001))
    assert (low, high) == pytest.approx((-0.2425, 1.2425), abs=1e-3)
    assert grey_range(np.full((4, 4), np.nan)) == (0, 1)
    assert np.diff(grey_range(np.ones((4, 4)))) > 0
