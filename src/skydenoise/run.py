"""One run as the workflow sees it: its configuration, read and checked before any job starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from skydenoise.config import (
    Architecture,
    EvaluationSettings,
    FetchSettings,
    MosaicSettings,
    NoiseSettings,
    OutputSettings,
    PatchSettings,
    PredictSettings,
    RecoverSettings,
    SkySettings,
    TrainSettings,
    check_together,
    check_without_noise,
)
from skydenoise.errors import SettingsError
from skydenoise.image_table import ListedImage, read_table
from skydenoise.paths import Survey
from skydenoise.schema import check, require, with_defaults
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.table import stacks_of
from skydenoise.survey.bricks_table import chunks, read_bricks_table, sample
from skydenoise.survey.region import region_of

Config = Mapping[str, Any]

CREDITS = {
    "survey": "Input pixels: DESI Legacy Imaging Surveys, {}.",
    "simulation": "Simulated sky.",
    "files": "",
}
"""Line under the pictures of each source; whose pixels files hold only the user knows."""


@dataclass(frozen=True)
class Mosaic:
    """A mosaic: its bricks, and how they are put together."""

    bricks: list[str]
    settings: MosaicSettings


@dataclass(frozen=True)
class Run:
    """A checked configuration.

    root : folder of all that the run writes
    source : "survey", "files" or "simulation"
    survey : where bricks are downloaded from; of a simulation, the folder of its mirror
    cache : folder of the bricks as they came
    files : table of images or stacks
    region : section `choose`: of names, box and cone the one that is given
    pretrained : folder of a model, or an empty text
    simulation : a SimulationSettings; None but for the source "simulation"
    bricks : names by purpose, "train" and "predict"
    places : by name, region of the bricks that come from another one than `survey`
    chunks : by purpose, names of the bricks of each chunk
    images : rows of `files`, for the source "files"
    stacks : stacks of frames by name; none if the bricks are of the sky
    evaluated : bricks that are measured and drawn
    credit : whose pixels the pictures show
    """

    root: Path
    source: str
    survey: Survey
    cache: Path
    files: Path
    bands: tuple[str, ...]
    fetch: FetchSettings
    choose: Config
    simulation: Any
    pretrained: str
    noise: NoiseSettings
    architecture: Architecture
    patches: PatchSettings
    train: TrainSettings
    predict: PredictSettings
    output: OutputSettings
    evaluate: EvaluationSettings
    mosaics: Mapping[str, Mosaic]
    sky: SkySettings
    bricks: Mapping[str, list[str]]
    places: Mapping[str, str]
    chunks: Mapping[str, Mapping[str, list[str]]]
    images: list[ListedImage]
    stacks: Mapping[str, StackFile]
    evaluated: list[str]
    credit: str

    def places_of(self, bricks: list[str]) -> dict[str, str]:
        """Those of `places` that concern these bricks."""
        return {brick: self.places[brick] for brick in bricks if brick in self.places}

    @property
    def origin(self) -> str:
        """Where the pixels come from, in a few words."""
        return self.survey.root if self.source == "survey" else self.source


def read_run(config: Config) -> Run:
    """Check a configuration and the tables that it names.

    Paths are relative to the working folder, as Snakemake's are.

    Raises
    ------
    SettingsError : in one line with the key and the reason
    """
    check(config)
    config = with_defaults(config)
    survey, bands = config["survey"], tuple(config["survey"]["bands"])
    root, simulated = Path("results") / config["run"], survey["source"] == "simulation"
    require(len(set(bands)) == len(bands), f"survey.bands: {', '.join(bands)} names a band twice")
    region_of(config["choose"])
    bricks, places = read_bricks(config)
    images = read_table(Path(survey["files"])) if survey["source"] == "files" else []
    evaluate = EvaluationSettings(config["evaluate"]["injections"], config["evaluate"]["fwhm"])
    widths = f"evaluate.fwhm: {len(evaluate.fwhm)} values for the bands {', '.join(bands)}"
    require(len(evaluate.fwhm) in (0, len(bands)), widths)
    run = Run(
        root=root,
        source=survey["source"],
        survey=Survey(
            str(root / "survey") if simulated else survey["url"], survey["release"], survey["region"]
        ),
        cache=root / "raw" if simulated else Path(survey["cache"]),
        files=Path(survey["files"]),
        bands=bands,
        fetch=FetchSettings(**{f.name: survey[f.name] for f in fields(FetchSettings) if f.name in survey}),
        choose=config["choose"],
        simulation=read_simulation(config, bricks) if simulated else None,
        pretrained=config["pretrained"],
        noise=NoiseSettings(**config["noise"]),
        **network_settings(config, len(bands)),
        output=OutputSettings(**config["output"]),
        evaluate=evaluate,
        mosaics=read_mosaics(config["mosaics"], bricks["predict"]),
        sky=read_sky(config["sky"], bands),
        bricks=bricks,
        places=places,
        chunks={purpose: chunks(names, config["bricks_per_job"]) for purpose, names in bricks.items()},
        images=images,
        stacks=stacks_of(Path(survey["files"]), images),
        evaluated=sample(bricks["predict"], config["evaluate"]["bricks"]),
        credit=config["evaluate"]["credit"] or CREDITS[survey["source"]].format(survey["release"].upper()),
    )
    if run.stacks:
        check_stacks(run)
    return run


def network_settings(config: Config, bands: int) -> dict[str, Any]:
    """Architecture, patches, train and predict of a whole configuration, checked together.

    Raises
    ------
    SettingsError : see `check_together`
    """
    architecture = Architecture(bands, **config["model"])
    patches = PatchSettings(**config["patches"])
    train = TrainSettings(**config["train"])
    recover = RecoverSettings(
        enabled=config["predict"]["recover"],
        scales=len(config["recover"]["threshold"]),
        **config["recover"],
    )
    predict = PredictSettings(**config["predict"] | {"recover": recover})
    check_together(architecture, patches, train, predict)
    return {"architecture": architecture, "patches": patches, "train": train, "predict": predict}


def read_bricks(config: Config) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Names in the table of bricks by purpose, at least one for each; and regions that it gives to them."""
    survey = config["survey"]
    rows = read_bricks_table(Path(config["bricks"]), survey_names=survey["source"] != "files")
    found = {
        "train": [row.brick for row in rows if row.train],
        "predict": [row.brick for row in rows if row.predict],
    }
    for purpose, names in found.items():
        if not names:
            raise SettingsError(f"{config['bricks']}: no brick has {purpose} = yes")
    places = {row.brick: row.region for row in rows if row.region not in ("", survey["region"])}
    if places and survey["source"] != "survey":
        raise SettingsError(f"{config['bricks']}: only bricks of the survey have other regions")
    return found, places


def read_simulation(config: Config, bricks: Mapping[str, list[str]]) -> Any:
    """Settings of the simulated survey; raises SettingsError if it has not all `bricks`."""
    from skydenoise.simulate import SimulationSettings, brick_names  # slow to import, and seldom needed

    survey = config["survey"]
    settings = SimulationSettings(release=survey["release"], region=survey["region"], **config["simulation"])
    simulated = set(brick_names(settings))
    for brick in [*bricks["train"], *bricks["predict"]]:
        if brick not in simulated:
            raise SettingsError(f"{config['bricks']}: the simulated survey has no brick {brick}")
    return settings


def read_mosaics(section: Config, denoised: list[str]) -> dict[str, Mosaic]:
    """Mosaics by name; raises SettingsError for one of bricks that are not `denoised`."""
    found, known = {}, set(denoised)
    for name, content in section.items():
        settings = MosaicSettings(**{key: value for key, value in content.items() if key != "bricks"})
        bricks = denoised if content["bricks"] == "all" else content["bricks"]
        for brick in bricks:
            if brick not in known:
                raise SettingsError(f"mosaics.{name}: {brick} is not a brick that is denoised")
        found[name] = Mosaic(bricks, settings)
    return found


def read_sky(section: Config, bands: tuple[str, ...]) -> SkySettings:
    """Section `sky`; raises SettingsError for a band that the run has not."""
    values = bands if section["values"] == "all" else tuple(section["values"])
    for band in values:
        if band not in bands:
            raise SettingsError(f"sky.values: {band} is not among the bands {', '.join(bands)}")
    return SkySettings(section["order"], values, section["score"])


def check_stacks(run: Run) -> None:
    """Refuse what cannot be done with stacks of frames."""
    check_without_noise(run.train, run.predict)
    for name in (*run.bricks["train"], *run.bricks["predict"]):
        known = f"{run.files}: there is no stack {name}, only {', '.join(run.stacks)}"
        require(name in run.stacks, known)
    if run.mosaics:
        raise SettingsError(f"mosaics.{next(iter(run.mosaics))}: frames of stacks have no place on the sky")
