"""One truth about the settings: schema, config.yaml, config/README.md and the package's defaults agree."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from skydenoise.config import (
    Architecture,
    EvaluationSettings,
    MosaicSettings,
    OutputSettings,
    PatchSettings,
    PredictSettings,
    RecoverSettings,
    TrainSettings,
)
from skydenoise.image_table import ListedImage
from skydenoise.simulate import SimulationSettings
from skydenoise.survey.download import FetchSettings

REPOSITORY = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())
CONFIG = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
README = (REPOSITORY / "config/README.md").read_text()

OPTIONAL = ("choose", "simulation", "mosaics")
"""Sections of use in some runs only: config.yaml may leave them out."""

NO_DEFAULT = object()


def keys(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every setting's dotted key and its part of the schema; <name> stands for a name of the user's."""
    for key, part in schema["properties"].items():
        if "properties" in part:
            yield from keys(part, f"{prefix}{key}.")
        elif isinstance(part.get("additionalProperties"), Mapping):
            yield from keys(part["additionalProperties"], f"{prefix}{key}.<name>.")
        else:
            yield prefix + key, part


SETTINGS = dict(keys(SCHEMA))


def documented() -> dict[str, object]:
    """Default of each key that the README's tables explain."""
    rows = re.findall(r"^\| `([\w.<>]+)` \| [^|]+ \| (`.*?`|-) \| [^|]+ \|[^|]*\|$", README, re.MULTILINE)
    return {key: NO_DEFAULT if cell == "-" else yaml.safe_load(cell.strip("`")) for key, cell in rows}


def configured(key: str) -> object:
    value: Any = CONFIG
    for part in key.split("."):
        if part not in value:
            return NO_DEFAULT
        value = value[part]
    return value


def test_the_readme_explains_every_key_and_no_other() -> None:
    assert sorted(documented()) == sorted(SETTINGS)


@pytest.mark.parametrize("key", sorted(set(SETTINGS) - {"run"}))
def test_the_readme_states_the_schema_s_default(key: str) -> None:
    assert documented()[key] == SETTINGS[key].get("default", NO_DEFAULT)


@pytest.mark.parametrize("key", sorted(set(SETTINGS) - {"run"}))
def test_config_yaml_holds_the_schema_s_default(key: str) -> None:
    if key.startswith(OPTIONAL):
        assert key.split(".")[0] not in CONFIG or not CONFIG[key.split(".")[0]]
    else:
        assert configured(key) == SETTINGS[key]["default"]


def test_the_readme_states_the_run_of_config_yaml() -> None:
    assert documented()["run"] == CONFIG["run"]


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_every_key_of_the_schema_has_a_description(key: str) -> None:
    assert SETTINGS[key]["description"]


RENAMED = {"survey.timeout_s": "survey.timeout"}
INTERNAL = {
    "model.bands",  # their number follows from survey.bands
    "recover.enabled",  # predict.recover
    "recover.scales",  # as many as there are thresholds
    "predict.recover",  # a switch in the configuration, RecoverSettings in the package
    "survey.backoff_s",
}


@pytest.mark.parametrize(
    ("settings", "section"),
    [
        (Architecture, "model"),
        (PatchSettings, "patches"),
        (TrainSettings, "train"),
        (PredictSettings, "predict"),
        (RecoverSettings, "recover"),
        (OutputSettings, "output"),
        (EvaluationSettings, "evaluate"),
        (FetchSettings, "survey"),
        (MosaicSettings, "mosaics.<name>"),
    ],
)
def test_the_package_s_defaults_are_the_schema_s(settings: type, section: str) -> None:
    for field in fields(settings):
        key = RENAMED.get(f"{section}.{field.name}", f"{section}.{field.name}")
        if key in INTERNAL:
            continue
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        assert default is not MISSING
        assert default == SETTINGS[key].get("default"), key


def test_the_simulation_s_defaults_are_the_schema_s() -> None:
    """Only a part of SimulationSettings can be configured."""
    defaults = {field.name: field.default for field in fields(SimulationSettings)}
    for key, part in SETTINGS.items():
        if key.startswith("simulation."):
            assert defaults[key.removeprefix("simulation.")] == part["default"], key


def test_the_readme_explains_every_column_of_the_table_of_images() -> None:
    text = README[README.index("## Images of other surveys") : README.index("## Every key")]
    explained = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert explained == [field.name for field in fields(ListedImage)]
