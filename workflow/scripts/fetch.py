from pathlib import Path

from skydenoise.fetch.bricks import fetch_bricks
from skydenoise.joblog import job_log
from skydenoise.manifest import write_manifest

with job_log(snakemake.log[0]):
    entries = fetch_bricks(
        snakemake.params.bricks,
        snakemake.params.bands,
        snakemake.params.survey,
        snakemake.params.cache,
        snakemake.params.settings,
    )
    write_manifest(Path(snakemake.output.manifest), entries)
