from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.paper.steps import report

with job_log(snakemake.log[0]):
    params = snakemake.params
    report(Path(snakemake.output.summary).parent, params.variants, params.peers, params.what)
