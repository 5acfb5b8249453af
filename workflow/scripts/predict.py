from functools import partial
from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.manifest import finished
from skydenoise.predict import Chunk, crew_for, load_denoiser, predict_bricks

# the processes that share the bricks import this file anew
if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        params = snakemake.params
        load = partial(load_denoiser, Path(snakemake.input.weights).parent, params.settings)
        chunk = Chunk(params.cache, params.root, load, params.output)
        crew = crew_for(snakemake.threads, snakemake.resources.mem_mb)
        predict_bricks(finished([snakemake.input.fetched]), chunk, Path(snakemake.output.manifest), crew)
