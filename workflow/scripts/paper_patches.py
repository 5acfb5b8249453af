from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.paper.steps import cut

with job_log(snakemake.log[0]):
    cut(Path(snakemake.input[0]).parent, snakemake.params.settings, Path(snakemake.output.positions).parent)
