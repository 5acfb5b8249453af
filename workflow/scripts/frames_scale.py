from pathlib import Path

from skydenoise.frames.steps import measure_stacks
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    params = snakemake.params
    measure_stacks(params.stacks, params.bands, params.scales, Path(snakemake.output.noise))
