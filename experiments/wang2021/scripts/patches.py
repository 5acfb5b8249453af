from pathlib import Path

from experiments.wang2021.steps import cut
from skydenoise.config import PatchSettings
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    folder = Path(snakemake.output.positions).parent
    cut(Path(snakemake.input[0]).parent, PatchSettings(**snakemake.params.settings), folder)
