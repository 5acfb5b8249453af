from pathlib import Path

from experiments.wang2021.configuration import Configuration
from experiments.wang2021.steps import report
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    report(Path(snakemake.output.summary).parent, Configuration.of(snakemake.params.config))
