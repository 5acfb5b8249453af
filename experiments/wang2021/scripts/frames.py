from pathlib import Path

import numpy as np

from experiments.wang2021.catalogue import EXPERIMENTS
from experiments.wang2021.configuration import PLANS
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    params = snakemake.params
    settings = PLANS[params.experiment].settings(**params.settings)
    data = EXPERIMENTS[params.experiment].simulate(settings, np.random.default_rng(params.seed))
    data.write(Path(snakemake.output.noisy).parent)
