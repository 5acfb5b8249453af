from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.manifest import finished
from skydenoise.predict.calibrate import calibrate_model

with job_log(snakemake.log[0]):
    params = snakemake.params
    folder = Path(snakemake.output.uncertainty).parent
    calibrate_model(folder, finished(snakemake.input.manifests), params.cache, params.predict, params.seed)
