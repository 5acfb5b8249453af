"""Fixtures that several rooms share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real survey pixels; the test is skipped where it is absent."""
    folder = Path(os.environ.get("SKYDENOISE_REAL_DATA", REPOSITORY / "../shared/data/real"))
    if not folder.is_dir():
        pytest.skip(f"no real survey pixels: {folder} is no folder (set SKYDENOISE_REAL_DATA)")
    return folder.resolve()
