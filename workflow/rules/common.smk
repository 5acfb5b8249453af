"""Settings, bricks and chunks: read and checked once, before any job starts."""

import os
import sys
from pathlib import Path

import jsonschema
import yaml
from snakemake.utils import validate

SOURCE_FOLDER = str(Path(workflow.basedir) / "src")
# Jobs start Python anew, here or on another machine: they shall find the package of this very checkout.
sys.path.insert(0, SOURCE_FOLDER)
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [SOURCE_FOLDER, os.environ.get("PYTHONPATH")])
)

from skydenoise import __version__ as CODE
from skydenoise.bricks_table import chunks, read_bricks_table, sample
from skydenoise.download import FetchSettings
from skydenoise.errors import SettingsError
from skydenoise.layout import Survey, check_band_name, truth_catalogue
from skydenoise.mosaic_settings import MosaicSettings
from skydenoise.settings import (
    Architecture,
    OutputSettings,
    PatchSettings,
    PredictSettings,
    RecoverSettings,
    TrainSettings,
    check_bands,
    check_together,
)

SCHEMA = Path(workflow.basedir) / "workflow/schemas/config.schema.yaml"
CPU_ENVIRONMENT = "../../envs/cpu.yaml"
GPU_ENVIRONMENT = "../../envs/gpu.yaml"


def check_config():
    """Refuse what the schema refuses, in one line that names the key; then fill in its defaults."""
    checker = jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text()))
    error = jsonschema.exceptions.best_match(checker.iter_errors(config))
    if error is not None:
        raise SettingsError(f"{error.json_path.removeprefix('$.')}: {error.message}")
    validate(config, str(SCHEMA))


try:
    check_config()
    BANDS = tuple(config["survey"]["bands"])
    check_bands(BANDS)
    SOURCE = config["survey"]["source"]
    ARCHITECTURE = Architecture(bands=len(BANDS), **config["model"])
    PATCHES = PatchSettings(**config["patches"])
    TRAIN = TrainSettings(**config["train"])
    RECOVER = RecoverSettings(
        enabled=config["predict"]["recover"],
        scales=len(config["recover"]["threshold"]),
        **config["recover"],
    )
    PREDICT = PredictSettings(**config["predict"] | {"recover": RECOVER})
    check_together(ARCHITECTURE, PATCHES, TRAIN, PREDICT)
    OUTPUT = OutputSettings(**config["output"])
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
    TABLE = read_bricks_table(Path(config["bricks"]), survey_names=SOURCE != "files")
except SettingsError as error:
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
BRICKS = {
    "train": [row.brick for row in TABLE if row.train],
    "predict": [row.brick for row in TABLE if row.predict],
}
CHUNKS = {
    purpose: chunks(bricks, config["bricks_per_job"])
    for purpose, bricks in BRICKS.items()
}
EVALUATED = sample(BRICKS["predict"], config["evaluate"]["bricks"])


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
    bricks = config["mosaics"][name].get("bricks", "all")
    return BRICKS["predict"] if bricks == "all" else bricks
