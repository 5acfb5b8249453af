from pathlib import Path

from skydenoise.io.manifest import summarise
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    summarise(
        fetched=map(Path, snakemake.input.fetched),
        cut=map(Path, snakemake.input.cut),
        predicted=map(Path, snakemake.input.predicted),
        skipped=Path(snakemake.output.skipped),
        summary=Path(snakemake.output.summary),
    )
