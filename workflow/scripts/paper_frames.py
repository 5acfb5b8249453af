from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.paper.steps import simulate

with job_log(snakemake.log[0]):
    params = snakemake.params
    simulate(params.experiment, params.settings, params.seed, Path(snakemake.output.noisy).parent)
