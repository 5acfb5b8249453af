from functools import partial
from pathlib import Path

from skydenoise.io import read_brick
from skydenoise.io.atomic import write_json
from skydenoise.io.manifest import needed
from skydenoise.joblog import job_log
from skydenoise.noise import SkyOf, measure_survey_noise

# the processes that share the bricks import this file anew
if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        params, cache = snakemake.params, Path(snakemake.params.cache)
        sky = SkyOf(partial(read_brick, cache, bands=params.bands), params.max_lag)
        names = needed(snakemake.input.manifests, "noise")
        noise = measure_survey_noise(names, sky, snakemake.threads, scales=params.scales)
        write_json(Path(snakemake.output.noise), noise.to_json())
