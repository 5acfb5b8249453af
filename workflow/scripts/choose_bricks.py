from pathlib import Path

import numpy as np

from skydenoise.errors import SettingsError
from skydenoise.joblog import job_log
from skydenoise.survey.brick_tables import choose_bricks, pick_training
from skydenoise.survey.bricks_table import write_bricks_table

with job_log(snakemake.log[0]):
    params, table = snakemake.params, Path(snakemake.output.table)
    if params.region is None:
        raise SettingsError("choose: give names, box or cone")
    chosen = choose_bricks(params.survey, params.bands, params.region, params.tables, params.settings)
    names = list(chosen["brickname"])
    train = pick_training(names, params.train, np.random.default_rng(params.seed))
    write_bricks_table(table, names, train, names)
