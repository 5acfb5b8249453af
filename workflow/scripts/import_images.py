from pathlib import Path

from skydenoise.io.manifest import write_manifest
from skydenoise.joblog import job_log
from skydenoise.survey.external.images import import_bricks
from skydenoise.survey.external.rows import read_table

with job_log(snakemake.log[0]):
    params = snakemake.params
    images = read_table(Path(snakemake.input.table))
    entries = import_bricks(images, params.bricks, params.bands, Path(params.cache))
    write_manifest(Path(snakemake.output.manifest), entries)
