"""Impossible settings are refused in one line with the key, as it stands in the configuration."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from skydenoise.config import (
    Architecture,
    EvaluationSettings,
    NoiseSettings,
    OutputSettings,
    PatchSettings,
    PredictSettings,
    RecoverSettings,
    TrainSettings,
    check_together,
    plain,
    rebuild,
)
from skydenoise.errors import SettingsError
from skydenoise.schema import SCHEMA, Settings, default, schema_of, with_defaults

NAN = float("nan")


@pytest.mark.parametrize(
    ("settings", "key", "value"),
    [
        (Architecture, "model.layout", "u-net"),
        (Architecture, "model.bands", 0),
        (Architecture, "model.levels", 0),
        (Architecture, "model.width", 0),
        (Architecture, "model.bottleneck", 0),
        (Architecture, "model.residual_blocks", -1),
        (Architecture, "model.outputs", 0),
        (Architecture, "model.outputs", 5),
        (PatchSettings, "patches.size", 0),
        (PatchSettings, "patches.count", 0),
        (PatchSettings, "patches.min_coverage", 0.0),
        (PatchSettings, "patches.min_coverage", 1.01),
        (TrainSettings, "train.objective", "supervised"),
        (TrainSettings, "train.loss", "l3"),
        (TrainSettings, "train.precision", "float16"),
        (TrainSettings, "train.epochs", 0),
        (TrainSettings, "train.batch_size", 0),
        (TrainSettings, "train.learning_rate", 0.0),
        (TrainSettings, "train.learning_rate", NAN),
        (TrainSettings, "train.recorruption", 0.0),
        (TrainSettings, "train.checkpoint_minutes", 0.0),
        (TrainSettings, "train.warmup", 1.0),
        (TrainSettings, "train.ema_decay", 1.0),
        (TrainSettings, "train.validation", -0.1),
        (TrainSettings, "train.weight_decay", -1e-4),
        (RecoverSettings, "recover.growth", 0.0),
        (RecoverSettings, "recover.threshold", (5.0,)),
        (RecoverSettings, "recover.threshold", (5.0, 5.0, 5.0, 5.0, 2.0)),
        (PredictSettings, "predict.tile", 0),
        (PredictSettings, "predict.overlap", 256),
        (PredictSettings, "predict.overlap", -1),
        (PredictSettings, "predict.batch_tiles", 0),
        (PredictSettings, "predict.batch_tiles", "many"),
        (PredictSettings, "predict.precision", "float16"),
        (PredictSettings, "predict.low_coverage", 1.0),
        (OutputSettings, "output.compression", "jpeg"),
        (OutputSettings, "output.step", 0.0),
    ],
)
def test_an_impossible_value_is_refused(settings: Callable[..., Any], key: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**{key.rsplit(".", 1)[1]: value})
    line = str(caught.value)
    assert line.startswith(f"{key}: ")
    assert "\n" not in line


def test_there_are_at_most_eight_scales() -> None:
    with pytest.raises(SettingsError, match=r"^recover\.threshold: .* is too long"):
        RecoverSettings(scales=9, threshold=(5.0,) * 9)


def test_a_threshold_may_be_given_as_a_list() -> None:
    assert RecoverSettings(scales=2, threshold=[5, 4]).threshold == (5, 4)  # type: ignore[arg-type]


def test_the_paper_s_layout_has_no_skips() -> None:
    with pytest.raises(SettingsError, match=r"^model\.skips: "):
        Architecture(layout="paper", skips=True)
    assert Architecture(layout="paper", fold=1, levels=4, skips=False).stride == 16


TOGETHER = (
    Architecture(fold=1, levels=4),
    PatchSettings(size=64),
    TrainSettings(),
    PredictSettings(tile=128, precision="bfloat16"),
)


def test_the_defaults_are_possible_together() -> None:
    check_together(Architecture(), PatchSettings(), TrainSettings(), PredictSettings())
    check_together(*TOGETHER)


@pytest.mark.parametrize(
    ("part", "change", "line"),
    [
        (1, {"size": 72}, "patches.size: 72 is not a multiple of the network's stride 16"),
        (3, {"tile": 100}, "predict.tile: 100 is not a multiple of the network's stride 16"),
        (0, {"skips": False}, "predict.precision: bfloat16 would round bright fluxes by percents in a model"),
        (2, {"objective": "identity"}, "model.skips: with train.objective 'identity' a network with skips"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(part: int, change: dict[str, Any], line: str) -> None:
    settings: list[Any] = list(TOGETHER)
    settings[part] = replace(settings[part], **change)
    with pytest.raises(SettingsError) as caught:
        check_together(*settings)
    assert str(caught.value).startswith(line)


def test_identity_goes_with_a_network_without_skips() -> None:
    _, patches, _, predict = TOGETHER
    predict = replace(predict, precision=default("predict.precision"))
    check_together(Architecture(skips=False), patches, TrainSettings(objective="identity"), predict)


def test_the_schema_s_defaults_are_possible_and_fill_what_is_left_out() -> None:
    filled = with_defaults({"run": "one", "survey": {"bands": ["r"]}, "mosaics": {"a": {"pixel_scale": 1}}})
    assert filled["survey"]["bands"] == ["r"]
    assert filled["survey"]["release"] == default("survey.release")
    assert filled["mosaics"]["a"] == {"pixel_scale": 1, "bricks": "all"} | {
        key: part["default"]
        for key, part in schema_of("mosaics.*")["properties"].items()
        if "default" in part
    }
    assert PatchSettings(**filled["patches"]) == PatchSettings()


@pytest.mark.parametrize(
    "kind",
    [
        Architecture,
        PatchSettings,
        NoiseSettings,
        TrainSettings,
        RecoverSettings,
        PredictSettings,
        OutputSettings,
        EvaluationSettings,
    ],
)
def test_every_setting_of_a_section_is_a_field(kind: type[Settings]) -> None:
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    elsewhere = {"evaluate": {"bricks", "credit"}}  # of the run
    assert set(schema_of(kind.section)["properties"]) - elsewhere.get(kind.section, set()) <= names


def test_every_key_has_a_description_and_a_section_a_default() -> None:
    def look(part: Any) -> None:
        for key, below in part.get("properties", {}).items():
            assert below["description"], key
            if "properties" in below:
                assert below["default"] == {}
            look(below)

    look(SCHEMA)


@dataclass(frozen=True)
class Job:
    folder: Path
    settings: PredictSettings
    notes: dict[str, int]


def test_plain_values_make_the_same_settings_again() -> None:
    job = Job(Path("a/b"), PredictSettings(recover=RecoverSettings(scales=1, threshold=(4.0,))), {"n": 3})
    content = plain(job)
    assert content["settings"]["recover"]["threshold"] == [4.0]
    assert json.loads(json.dumps(content)) == content
    assert rebuild(Job, content) == job
