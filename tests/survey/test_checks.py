"""What vouches for a file."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from skydenoise.survey.checks import Unpacker
from skydenoise.survey.download import UnfitError


class Deadly:
    """In place of a file on which cfitsio crashes: whoever unpickles it dies."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_reader_that_crashes_costs_its_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((4, 4), np.float32))]).writeto(path)
    with Unpacker() as unpacker:
        with pytest.raises(UnfitError, match="damaged"):
            unpacker.check(Deadly(), "")  # type: ignore[arg-type]
        unpacker.check(path, "")
