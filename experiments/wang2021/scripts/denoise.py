from pathlib import Path

import torch

from experiments.wang2021.denoise import denoise_variant
from skydenoise.config import PredictSettings, rebuild
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    folder = Path(snakemake.output.denoised).parent
    denoise_variant(folder, rebuild(PredictSettings, snakemake.params.settings))
