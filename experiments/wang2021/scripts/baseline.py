from pathlib import Path

import torch

from experiments.wang2021.baseline_training import training_beside
from experiments.wang2021.denoise import run_baseline
from skydenoise.config import PredictSettings, rebuild
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    given, params = snakemake.input, snakemake.params
    settings = rebuild(PredictSettings, params.settings)
    training = training_beside(Path(given.patches).parent, Path(given.description), settings, params.seed)
    run_baseline(snakemake.wildcards.baseline, Path(snakemake.output.about).parent, training)
