"""A whole configuration is read into one object; an impossible one is refused in one line with the key."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from skydenoise.config import PredictSettings, RecoverSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.run import Run, read_run
from skydenoise.stacks.table import check_files

REPOSITORY = Path(__file__).parents[1]
SERIES = """
run: series
bricks: series.tsv
survey: {source: files, files: stacks.tsv, bands: [e]}
patches: {size: 32}
model: {levels: 2, skips: false, outputs: 2}
train: {objective: identity, loss: l1}
predict: {tile: 32, overlap: 8, recover: false}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with tables of bricks and of stacks."""
    monkeypatch.chdir(tmp_path)
    header = "brick\ttrain\tpredict\n"
    Path("bricks.tsv").write_text(header + "1410m032\tyes\tyes\n1416p230\tno\tyes\n")
    Path("untrained.tsv").write_text(header + "1410m032\tno\tyes\n")
    Path("series.tsv").write_text(header + "first\tyes\tyes\n")
    for name, size in (("first", 48), ("tiny", 16)):
        np.save(f"{name}.npy", np.ones((3, size, size), dtype=np.float32))
    Path("stacks.tsv").write_text("brick\timage\nfirst\tfirst.npy\ntiny\ttiny.npy\n")
    return tmp_path


def config(text: str = "{}", base: str = "run: one\nbricks: bricks.tsv\nsurvey: {}") -> dict[str, Any]:
    """Content of `base`, overridden by `text` key by key."""
    content = yaml.safe_load(base)
    for key, value in yaml.safe_load(text).items():
        content[key] = content.get(key, {}) | value if isinstance(value, dict) else value
    return content


def test_a_configuration_is_the_schema_s_defaults_and_what_it_says() -> None:
    run = read_run(
        config("{recover: {threshold: [6, 5]}, predict: {recover: false}, survey: {bands: [g, z]}}")
    )
    assert run.root == Path("results/one")
    assert run.predict == PredictSettings(recover=RecoverSettings(False, 2, (6, 5)))
    assert run.architecture.bands == 2
    assert run.bricks == {"train": ["1410m032"], "predict": ["1410m032", "1416p230"]}
    assert run.chunks == {"train": {"c": ["1410m032"]}, "predict": {"c": ["1410m032", "1416p230"]}}
    assert run.credit == "Input pixels: DESI Legacy Imaging Surveys, DR9."


def test_bricks_may_come_from_other_regions_of_the_survey() -> None:
    rows = ["brick\ttrain\tpredict\tregion", "1410m032\tyes\tyes\tsouth", "1416p330\tno\tyes\tdr9/north"]
    Path("bricks.tsv").write_text("\n".join([*rows, "1412m032\tno\tyes\t"]))
    run = read_run(config())
    assert run.places == {"1416p330": "dr9/north"}
    assert run.places_of(["1410m032", "1412m032"]) == {}
    with pytest.raises(SettingsError, match=r"bricks.tsv: only bricks of the survey have other regions"):
        read_run(config("survey: {source: simulation}"))


@pytest.mark.parametrize("names", [["config"], ["config", "demo"], ["test"]], ids=" ".join)
def test_shipped_configurations_are_possible(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY / ".test" if names == ["test"] else REPOSITORY)
    files = [f"config/{'config' if name == 'test' else name}.yaml" for name in names]
    content = config(*[Path(file).read_text() for file in reversed(files)])
    assert read_run(content).bricks["train"]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("tiles: 3", "tiles: there is no such key, only bricks, bricks_per_job"),
        ("survey: {bandz: [g]}", "survey.bandz: there is no such key, only bands, cache"),
        ("patches: {size: large}", "patches.size: 'large' is not of type 'integer'"),
        ("train: {weight_decay: 1e-4}", "train.weight_decay: 1e-4 is text in YAML; write 1.0e-4"),
        ("train: {weight_decay: 2.5E3}", "train.weight_decay: 2.5E3 is text in YAML; write 2.5e+3"),
        ("patches: {size: 8.0}", "patches.size: 8.0 is a fraction in YAML; write 8"),
        ("predict: {tile: 100}", "predict.tile: 100 is not a multiple of the network's stride 16"),
        ("predict: {tile: 128, overlap: 128}", "predict.overlap: 128 is not below predict.tile, 128"),
        ("survey: {bands: [g, r, g]}", "survey.bands: g, r, g names a band twice"),
        ("survey: {bands: []}", "survey.bands: [] "),
        ("model: {bottleneck: 0}", "model.bottleneck: 0 is less than the minimum of 1"),
        ("model: {width: 100000}", "model.width: 100000 is greater than the maximum of 1024"),
        (
            "patches: {count: 1.0e+12}",
            "patches.count: 1000000000000.0 is a fraction in YAML; write 1000000000000",
        ),
        ("patches: {count: 1e12}", "patches.count: 1e12 is text in YAML; write 1000000000000"),
        ("patches: {count: 1000000000000}", "patches.count: 1000000000000 is greater than the maximum"),
        ("train: {objective: identity}", "model.skips: with train.objective 'identity'"),
        ("survey: {source: files, files: nowhere.tsv}", "survey.files: nowhere.tsv: there is no such table"),
        ("bricks: nowhere.tsv", "nowhere.tsv: there is no such table"),
        ("bricks: untrained.tsv", "untrained.tsv: no brick has train = yes"),
        ("run: ../elsewhere", "run: '../elsewhere' does not match"),
        ("evaluate: {fwhm: [1.2]}", "evaluate.fwhm: 1 values for the bands g, r, z"),
        ("mosaics: {a: {bricks: [1500p600]}}", "mosaics.a: 1500p600 is not a brick that is denoised"),
        ("mosaics: {a: {size: 3}}", "mosaics.a.size: there is no such key, only "),
        ("choose: {names: [1410m032], cone: [1, 2, 3]}", "choose: names and cone are given"),
        ("survey: {source: simulation}", "bricks.tsv: the simulated survey has no brick 1410m032"),
    ],
)
def test_impossible_settings_are_refused(settings: str, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_run(config(settings))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def read_series(settings: str = "{}") -> Run:
    """The run of a series, its files looked into."""
    run = read_run(config(settings, SERIES))
    check_files(run.stacks, run.bricks, run.bands, run.patches, run.predict)
    return run


def test_stacks_are_known_by_their_table() -> None:
    run = read_series()
    assert {name: stack.path for name, stack in run.stacks.items()} == {
        "first": Path("first.npy"),
        "tiny": Path("tiny.npy"),
    }


@pytest.mark.parametrize(
    ("settings", "brick", "images", "line"),
    [
        ("train: {objective: recorrupted}", "first", "", "train.objective: recorrupted needs the measured"),
        ("train: {loss: flux}", "first", "", "train.loss: flux needs input and target of independent"),
        ("predict: {recover: true}", "first", "", "predict.recover: true needs the measured noise"),
        ("survey: {bands: [g, r]}", "first", "", "survey.bands: 2 names (g, r) for first.npy"),
        ("{}", "tiny", "", "patches.size: 32 is more than the frames of tiny.npy have, 16x16"),
        ("{}", "third", "", "stacks.tsv: there is no stack third, only first, tiny"),
        ("mosaics: {all: {bricks: all}}", "first", "", "mosaics.all: frames of stacks have no place"),
        ("{}", "first", "sky\tg\tsky.fits\t\n", "stacks.tsv: first is a stack of frames, sky is an image"),
        ("{}", "lost", "lost\t\tlost.mrc\t\n", "lost.mrc: there is no such file; mend it, or say no to"),
        ("{}", "first", "odd\t\todd.npy\tJy\n", "stacks.tsv: stack odd: column units is for images"),
    ],
)
def test_what_stacks_cannot_have_is_refused(settings: str, brick: str, images: str, line: str) -> None:
    Path("series.tsv").write_text(f"brick\ttrain\tpredict\n{brick}\tyes\tyes\n")
    if images:
        Path("stacks.tsv").write_text("brick\tband\timage\tunits\nfirst\t\tfirst.npy\t\n" + images)
    with pytest.raises((SettingsError, StepError)) as caught:
        read_series(settings)
    assert str(caught.value).startswith(line)
