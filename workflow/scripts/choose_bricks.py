from pathlib import Path

import numpy as np

from skydenoise.config import FetchSettings, rebuild
from skydenoise.errors import SettingsError
from skydenoise.joblog import job_log
from skydenoise.paths import Survey
from skydenoise.survey.bricks_table import write_bricks_table
from skydenoise.survey.choose import choose_bricks, pick_training
from skydenoise.survey.region import region_of

with job_log(snakemake.log[0]):
    params = snakemake.params
    region = region_of(params.choose)
    if region is None:
        raise SettingsError("choose: give names, box or cone")
    survey, settings = Survey(**params.survey).absolute(), rebuild(FetchSettings, params.settings)
    places = params.choose["regions"]
    chosen = choose_bricks(survey, params.bands, region, Path(params.tables), settings, places)
    names = list(chosen["brickname"])
    train = pick_training(chosen, params.choose["train"], np.random.default_rng(params.choose["seed"]))
    regions = dict(zip(names, chosen["region"], strict=True)) if places else {}
    write_bricks_table(Path(snakemake.output.table), names, train, names, regions)
