from pathlib import Path

from skydenoise.config import PredictSettings, rebuild
from skydenoise.io.manifest import needed
from skydenoise.joblog import job_log
from skydenoise.predict.calibrate import calibrate_model

with job_log(snakemake.log[0]):
    params = snakemake.params
    folder = Path(snakemake.output.uncertainty).parent
    names = needed(snakemake.input.manifests, "calibration")
    settings = rebuild(PredictSettings, params.settings)
    calibrate_model(folder, names, Path(params.cache), settings, params.seed)
