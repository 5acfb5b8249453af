"""A finished run, made once in each process of pytest, and copies of it to spoil."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from .house import House


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A run to which nothing has happened."""
    house = House(tmp_path_factory.mktemp("clean"))
    house.make_survey()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same bytes are promised for equal numbers of threads
    said = house.run()
    assert "ERROR" not in said, said
    yield house
    torch.set_num_threads(threads)


@pytest.fixture
def house(clean: House, tmp_path: Path) -> House:
    """A copy of it."""
    shutil.copytree(clean.folder, tmp_path / "house")
    (tmp_path / "house/raw/SOURCE.json").unlink()  # the survey has moved, too
    return House(tmp_path / "house")
