from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.stacks.steps import measure_stacks

with job_log(snakemake.log[0]):
    params = snakemake.params
    measure_stacks(params.stacks, params.bands, params.scales, Path(snakemake.output.noise))
