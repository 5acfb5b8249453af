from functools import partial
from pathlib import Path

from skydenoise.atomic import write_json
from skydenoise.brick import read_brick, readable
from skydenoise.joblog import job_log
from skydenoise.manifest import needed
from skydenoise.noise import measure_noise

with job_log(snakemake.log[0]):
    params = snakemake.params
    read = partial(read_brick, params.cache, bands=params.bands)
    bricks = readable(needed(snakemake.input.manifests, "noise"), read, step="noise")
    noise = measure_noise(bricks, scales=params.scales, max_lag=params.max_lag)
    write_json(Path(snakemake.output.noise), noise.to_json())
