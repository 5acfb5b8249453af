from functools import partial
from pathlib import Path

from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log
from skydenoise.predict import Chunk, load_denoiser, predict_bricks

# the processes that share the bricks import this file anew
if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        inputs, params = snakemake.input, snakemake.params
        load = partial(load_denoiser, Path(inputs.weights).parent, params.settings)
        chunk = Chunk(params.cache, params.root, load, params.output)
        names = finished([inputs.fetched])
        predict_bricks(names, chunk, Path(snakemake.output.manifest), snakemake.threads)
