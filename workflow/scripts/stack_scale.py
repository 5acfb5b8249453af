from pathlib import Path

from skydenoise.config import rebuild
from skydenoise.joblog import job_log
from skydenoise.stacks.steps import measure_stacks
from skydenoise.stacks.table import StackFile

with job_log(snakemake.log[0]):
    params = snakemake.params
    stacks = {name: rebuild(StackFile, content) for name, content in params.stacks.items()}
    measure_stacks(stacks, params.bands, params.scales, Path(snakemake.output.noise))
