from functools import partial
from pathlib import Path

from skydenoise.config import OutputSettings, PredictSettings, rebuild
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log
from skydenoise.predict import Chunk, load_denoiser, predict_bricks

# the processes that share the bricks import this file anew
if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        inputs, params = snakemake.input, snakemake.params
        cache, settings = Path(params.cache), rebuild(PredictSettings, params.settings)
        load = partial(load_denoiser, Path(inputs.weights).parent, settings)
        manifest = Path(snakemake.output.manifest)
        chunk = Chunk(cache, manifest.parents[1], load, rebuild(OutputSettings, params.output))
        names = finished([inputs.fetched])
        predict_bricks(names, chunk, manifest, snakemake.threads)
