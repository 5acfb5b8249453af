"""Settings, bricks and chunks: read and checked once, before any job starts."""

import os
import re
import sys
from pathlib import Path

import jsonschema
import yaml
from snakemake.utils import validate

SOURCE_FOLDER = str(Path(workflow.basedir) / "src")
# Jobs start Python anew, here or on another machine: they shall find the package of this very checkout.
sys.path.insert(0, SOURCE_FOLDER)
os.environ.update(PYTHONPATH=SOURCE_FOLDER)

from skydenoise import __version__ as CODE
from skydenoise.survey.bricks_table import chunks, read_bricks_table, sample
from skydenoise.survey.download import FetchSettings
from skydenoise.survey.region import region_of
from skydenoise.errors import SettingsError, StepError
from skydenoise.image_table import files_of, read_table
from skydenoise.stacks.table import check_names, stacks_of
from skydenoise.paths import Survey, truth_catalogue
from skydenoise.train.job import TrainJob
from skydenoise.config import (
    Architecture,
    EvaluationSettings,
    MosaicSettings,
    OutputSettings,
    PatchSettings,
    PredictSettings,
    RecoverSettings,
    TrainSettings,
    check_bands,
    check_evaluation,
    check_together,
    check_without_noise,
)

SCHEMA = Path(workflow.basedir) / "workflow/schemas/config.schema.yaml"
CPU_ENVIRONMENT = "../../envs/cpu.yaml"
GPU_ENVIRONMENT = "../../envs/gpu.yaml"


def refusal(error):
    """A schema's objection in one line: key and reason; for an unknown key, those that are known."""
    key = error.json_path.lstrip("$.")
    if error.validator != "additionalProperties":
        return f"{key}: {error.message}" if key else error.message
    known = sorted(error.schema["properties"])
    unknown = next(name for name in error.instance if name not in known)
    full = f"{key}.{unknown}" if key else unknown
    return f"{full}: there is no such key, only {', '.join(known)}"


def check_schema(content):
    """Refuse what the schema refuses, in one line that names the key."""
    checker = jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text()))
    error = jsonschema.exceptions.best_match(checker.iter_errors(content))
    if error is not None:
        raise SettingsError(refusal(error))


def network_settings(content, bands):
    """Settings of network, patches, training and prediction in `content`, a configuration; checked together."""
    architecture = Architecture(bands=bands, **content["model"])
    patches = PatchSettings(**content["patches"])
    train = TrainSettings(**content["train"])
    recover = RecoverSettings(
        enabled=content["predict"]["recover"],
        scales=len(content["recover"]["threshold"]),
        **content["recover"],
    )
    predict = PredictSettings(**content["predict"] | {"recover": recover})
    check_together(architecture, patches, train, predict)
    return architecture, patches, train, predict


def check_bricks():
    """Refuse a table without bricks to train on or to denoise, and a mosaic of bricks that are not denoised."""
    for purpose, bricks in BRICKS.items():
        if not bricks:
            raise SettingsError(f"{config['bricks']}: no brick has {purpose} = yes")
    denoised = set(BRICKS["predict"])
    for name, mosaic in config["mosaics"].items():
        for brick in mosaic["bricks"] if mosaic["bricks"] != "all" else ():
            if brick not in denoised:
                raise SettingsError(
                    f"mosaics.{name}: {brick} is not a brick that is denoised"
                )


def stacks_of_frames():
    """Stacks by name, if these are what `survey.files` lists; what cannot be done with them is refused now.

    The files are opened once, by the process that plans, not again by that of every job.
    """
    table = Path(config["survey"]["files"])
    if SOURCE != "files":
        return {}
    stacks = stacks_of(table, IMAGES)
    if stacks:
        check_without_noise(TRAIN, PREDICT)
        check_names(table, stacks, [*BRICKS["train"], *BRICKS["predict"]])
        if MOSAICS:
            raise SettingsError(
                f"mosaics.{next(iter(MOSAICS))}: frames of stacks have no place on the sky"
            )
    if stacks and workflow.is_main_process:
        # its readers are slow to import
        from skydenoise.stacks.check import check_files

        check_files(stacks, BRICKS, BANDS, PATCHES, PREDICT)
    return stacks


try:
    check_schema(config)
    validate(config, str(SCHEMA))  # fills in the defaults
    BANDS = tuple(config["survey"]["bands"])
    check_bands(BANDS)
    SOURCE = config["survey"]["source"]
    ARCHITECTURE, PATCHES, TRAIN, PREDICT = network_settings(config, len(BANDS))
    RECOVER = PREDICT.recover
    OUTPUT = OutputSettings(**config["output"])
    EVALUATE = EvaluationSettings(
        config["evaluate"]["injections"], config["evaluate"]["fwhm"]
    )
    check_evaluation(EVALUATE, BANDS)
    MOSAICS = {
        name: MosaicSettings(
            **{key: value for key, value in mosaic.items() if key != "bricks"}
        )
        for name, mosaic in config["mosaics"].items()
    }
    FETCH = FetchSettings(
        connections=config["survey"]["connections"],
        retries=config["survey"]["retries"],
        timeout_s=config["survey"]["timeout"],
    )
    REGION = region_of(config["choose"])
    TABLE = read_bricks_table(Path(config["bricks"]), survey_names=SOURCE != "files")
    BRICKS = {
        "train": [row.brick for row in TABLE if row.train],
        "predict": [row.brick for row in TABLE if row.predict],
    }
    check_bricks()
    IMAGES = read_table(Path(config["survey"]["files"])) if SOURCE == "files" else []
    STACKS = stacks_of_frames()
except (SettingsError, StepError) as error:
    raise WorkflowError(f"config: {error}") from None

RESULTS = f"results/{config['run']}"
ROOT = Path(RESULTS)
MIRROR = ROOT / "survey"
CACHE = ROOT / "raw" if SOURCE == "simulation" else Path(config["survey"]["cache"])
SURVEY = Survey(
    url=(
        MIRROR.resolve().as_uri() if SOURCE == "simulation" else config["survey"]["url"]
    ),
    release=config["survey"]["release"],
    region=config["survey"]["region"],
)
# what decides on the downloaded files; a simulated survey may move with its folder
ORIGIN = (config["survey"]["url"], SURVEY.release, SURVEY.region, str(CACHE))
# the model: trained, or taken from the folder `pretrained`
MODEL = {
    "weights": f"{RESULTS}/model/model.safetensors",
    "description": f"{RESULTS}/model/model.json",
}
PRETRAINED = config["pretrained"]
CHUNKS = {
    purpose: chunks(bricks, config["bricks_per_job"])
    for purpose, bricks in BRICKS.items()
}
# whose pixels the pictures show; of other surveys only the user knows
CREDIT = (
    config["evaluate"]["credit"]
    or {
        "survey": f"Input pixels: DESI Legacy Imaging Surveys, {SURVEY.release.upper()}.",
        "simulation": "Simulated sky.",
        "files": "",
    }[SOURCE]
)
EVALUATED = sample(BRICKS["predict"], config["evaluate"]["bricks"])


def recorded(*settings):
    """Version of the code and settings, as text: when it differs from the last run's, a step runs again.

    Snakemake compares params of built-in types alone, and passes over our dataclasses and paths.
    """
    return "; ".join(map(repr, (CODE, *settings)))


def fetched(purpose):
    """Manifests of all chunks of the bricks for train or for predict."""
    return [f"{RESULTS}/fetch/{purpose}-{chunk}.tsv" for chunk in CHUNKS[purpose]]


def predicted(bricks):
    """Manifests of the chunks that hold these bricks."""
    wanted = set(bricks)
    return [
        f"{RESULTS}/predict/{chunk}.tsv"
        for chunk, members in CHUNKS["predict"].items()
        if not wanted.isdisjoint(members)
    ]


def mosaic_bricks(name):
    """Bricks of a mosaic."""
    bricks = config["mosaics"][name]["bricks"]
    return BRICKS["predict"] if bricks == "all" else bricks


def simulated(bricks):
    """What a step that uses these bricks has to wait for, if they are simulated."""
    if SOURCE != "simulation":
        return []
    return [truth_catalogue(ROOT, brick) for brick in bricks]


def stack_files(purpose):
    """Stacks for train or predict, by name."""
    return {name: STACKS[name] for name in BRICKS[purpose]}


def stack_path(wildcards):
    """File of a stack."""
    return str(STACKS[wildcards.stack].path)


def training_job():
    """All that a training is asked to do, as one line: torchrun starts a plain command."""
    return TrainJob(
        patches=ROOT / "patches",
        noise=ROOT / "patches/noise.json",
        model=ROOT / "model",
        log=ROOT / "logs/training.csv",
        tensorboard=ROOT / "logs/tensorboard",
        architecture=ARCHITECTURE,
        settings=TRAIN,
        softening=config["noise"]["softening"],
        provenance={"survey": SURVEY.root if SOURCE == "survey" else SOURCE},
    ).to_json()


def mosaic_products():
    """Images of all mosaics in all bands."""
    return expand(rules.mosaic.output.image, mosaic=config["mosaics"], band=BANDS)


def evaluation_products():
    """Tables and pictures; those against the truth only where it is known."""
    measured = [
        rules.evaluate_residual.output,
        rules.evaluate_denoiser.output,
        rules.pictures.output,
    ]
    if not PRETRAINED:
        measured.append(rules.training_curve.output)
    return measured + ([rules.evaluate_truth.output] if SOURCE == "simulation" else [])


def frame_products():
    """Denoised stacks of frames, a picture of each, and the curve of a training."""
    made = [
        f"{RESULTS}/frames/{name}{end}"
        for name in BRICKS["predict"]
        for end in (STACKS[name].suffix, ".png")
    ]
    return made + ([] if PRETRAINED else [rules.training_curve.output])


def products():
    """What `all` asks for: of skies, of stacks of frames, or of an experiment of the paper."""
    if "paper" in config:
        return list(rules.paper_report.output)
    if STACKS:
        return frame_products()
    return [rules.summary.output] + evaluation_products() + [mosaic_products()]


def no_bricks(wildcards):
    """Say what the target `dr8_figure` cannot do."""
    raise WorkflowError(
        "config: dr8_figure shows bricks of the sky; survey.files lists stacks of frames"
    )


def print_summary():
    """What was made and where, and how good it is where the truth is known."""
    products = {
        "denoised bricks": ROOT / "coadd",
        "denoised stacks": ROOT / "frames",
        "mosaics": ROOT / "mosaic",
        "quality, pictures": ROOT / "evaluation",
        "model": ROOT / "model",
        "skipped bricks": ROOT / "skipped.tsv",
        "experiment": ROOT / "paper",
    }
    for text in (ROOT / f"{part}summary.txt" for part in ("evaluation/", "", "paper/")):
        if text.exists():
            print(text.read_text())
    for what, where in products.items():
        if where.exists():
            print(f"{what:<22}{where}")
