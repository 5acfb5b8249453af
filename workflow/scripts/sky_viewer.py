from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.sky.viewer import fetch_viewer

with job_log(snakemake.log[0]):
    fetch_viewer(Path(snakemake.output.script).parent, snakemake.params.timeout)
