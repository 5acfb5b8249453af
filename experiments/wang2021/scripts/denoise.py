from pathlib import Path

import torch

from experiments.wang2021.configuration import predict_settings
from experiments.wang2021.denoise import denoise_variant
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    denoise_variant(Path(snakemake.output.denoised).parent, predict_settings(snakemake.params.settings))
