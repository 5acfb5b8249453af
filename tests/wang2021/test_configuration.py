"""An impossible configuration is refused in one line; the shipped ones are possible."""

import pytest

from experiments.wang2021.configuration import Configuration
from skydenoise.errors import SettingsError

from .conftest import configured

BARE = {
    "model": {"skips": False},
    "train": {"objective": "identity", "loss": "l1"},
    "predict": {"recover": False},
}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"experiment": "dots"}, "experiment: dots is none of glyphs, bottleneck, patch_size, tribolium"),
        ({"variant": {}}, "variant: there is no such key, only run, experiment"),
        ({"variants": {}}, "variants: none is named"),
        ({"variants": {"a": {"modell": {}}}}, "variants.a: modell: there is no such key, only model"),
        ({"variants": {"a": {"model": {"width": 0}}}}, "variants.a: model.width: 0 is less than"),
        ({"variants": {"a": {"predict": {"tile": 40}}}}, "variants.a: predict.tile: 40 is not a multiple"),
        ({"train": {}, "model": {}}, "variants.a: train.objective: recorrupted needs the measured noise"),
        ({"train": {"objective": "identity"}}, "variants.a: train.loss: flux needs"),
        ({"predict": {}}, "variants.a: predict.recover: true needs the measured noise"),
        ({"frames": {"size": 32}}, "variants.a: patches.size: 128 is more than the frames of the experiment"),
        ({"frames": {"fond": "x"}}, "frames.fond: there is no such key, only font, characters, count"),
        ({"frames": {"count": "all"}}, "frames.count: 'all' is no int"),
        ({"baselines": ["CARE"]}, "baselines: CARE is none of Noise2Self, Noise2Void"),
        ({"noise": {"softening": -1}}, "noise.softening: -1 is less than or equal"),
    ],
)
def test_an_impossible_configuration_is_refused(content: dict, line: str) -> None:
    frames = {"frames": {"size": 256}}
    with pytest.raises(SettingsError) as refused:
        Configuration.of(
            {"run": "a", "experiment": "glyphs", "variants": {"a": {}}} | BARE | frames | content
        )
    assert str(refused.value).startswith(line)


@pytest.mark.parametrize("name", ["glyphs", "bottleneck", "patch_size", "tribolium"])
def test_the_shipped_configurations_are_possible(name: str) -> None:
    full = Configuration.of(configured(f"{name}.yaml"))
    small = Configuration.of(configured(f"{name}.yaml", f"small/{name}.yaml"))
    assert full.experiment == small.experiment == name
    assert set(small.variants) <= set(full.variants)


def test_files_of_the_user_s_that_are_missing_are_named_with_the_remedy() -> None:
    for name, frames, line in (
        ("glyphs", {"font": "no.ttf"}, r"frames\.font: there is no no\.ttf \(apt-get"),
        (
            "tribolium",
            {"noisy": "nowhere", "clean": "no"},
            r"frames\.noisy: nowhere is not there; unpack CARE's",
        ),
    ):
        with pytest.raises(SettingsError, match=line):
            Configuration.of(configured(f"{name}.yaml") | {"frames": frames}).frames.check_files()
