"""A survey of two bricks, and a server that has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from survey_server import BRICKS, SurveyServer, make_survey

from skydenoise import paths


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mirror")
    make_survey(root, BRICKS)
    return root


@pytest.fixture
def server(mirror: Path) -> Iterator[SurveyServer]:
    with SurveyServer(mirror) as server:
        yield server


@pytest.fixture
def survey(server: SurveyServer) -> paths.Survey:
    return paths.Survey(server.url, "dr9", "south")
