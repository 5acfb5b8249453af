from pathlib import Path

from skydenoise.evaluate.overview import write_overview
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    inputs = snakemake.input
    write_overview(Path(inputs.summary), map(Path, inputs.tables), Path(snakemake.output.overview))
