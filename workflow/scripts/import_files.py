from pathlib import Path

from skydenoise.foreign.rows import read_table
from skydenoise.foreign.table import import_bricks
from skydenoise.joblog import job_log
from skydenoise.manifest import write_manifest

with job_log(snakemake.log[0]):
    params = snakemake.params
    images = read_table(Path(snakemake.input.table))
    entries = import_bricks(images, params.bricks, params.bands, params.cache)
    write_manifest(Path(snakemake.output.manifest), entries)
