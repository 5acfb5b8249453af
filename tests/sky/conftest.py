"""A small sky, empty at first."""

from pathlib import Path

import pytest
from small_sky import Sky


@pytest.fixture
def sky(tmp_path: Path) -> Sky:
    return Sky(tmp_path)
