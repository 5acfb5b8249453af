from pathlib import Path

from skydenoise.image_table import read_table
from skydenoise.io.manifest import write_manifest
from skydenoise.joblog import job_log
from skydenoise.survey.external.bricks import import_bricks

with job_log(snakemake.log[0]):
    params = snakemake.params
    images = read_table(Path(snakemake.input.table))
    entries = import_bricks(images, params.bricks, params.bands, Path(params.cache))
    write_manifest(Path(snakemake.output.manifest), entries)
