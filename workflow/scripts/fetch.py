from pathlib import Path

from skydenoise.io.manifest import write_manifest
from skydenoise.joblog import job_log
from skydenoise.survey.fetch import fetch_bricks

with job_log(snakemake.log[0]):
    entries = fetch_bricks(
        snakemake.params.bricks,
        snakemake.params.bands,
        snakemake.params.survey,
        snakemake.params.cache,
        snakemake.params.settings,
    )
    write_manifest(Path(snakemake.output.manifest), entries)
