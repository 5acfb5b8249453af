from functools import partial
from pathlib import Path

from skydenoise.config import OutputSettings, PredictSettings, rebuild
from skydenoise.io import pixels_of_largest
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log
from skydenoise.network import read_description
from skydenoise.predict import Chunk, crew_for, load_denoiser, predict_bricks

# the processes that share the bricks import this file anew
if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        inputs, params = snakemake.input, snakemake.params
        cache, settings = Path(params.cache), rebuild(PredictSettings, params.settings)
        load = partial(load_denoiser, Path(inputs.weights).parent, settings)
        manifest = Path(snakemake.output.manifest)
        chunk = Chunk(cache, manifest.parents[1], load, rebuild(OutputSettings, params.output))
        names = finished([inputs.fetched])
        pixels = pixels_of_largest(cache, names, read_description(Path(inputs.description)).bands)
        crew = crew_for(snakemake.threads, snakemake.resources.mem_mb, pixels)
        predict_bricks(names, chunk, manifest, crew)
