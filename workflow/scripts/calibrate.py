from pathlib import Path

from skydenoise.io.manifest import needed
from skydenoise.joblog import job_log
from skydenoise.predict.calibrate import calibrate_model

with job_log(snakemake.log[0]):
    params = snakemake.params
    folder = Path(snakemake.output.uncertainty).parent
    names = needed(snakemake.input.manifests, "calibration")
    calibrate_model(folder, names, params.cache, params.predict, params.seed)
