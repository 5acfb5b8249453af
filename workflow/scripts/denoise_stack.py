from pathlib import Path

import torch

from skydenoise.config import PredictSettings, rebuild
from skydenoise.joblog import job_log
from skydenoise.predict import load_denoiser
from skydenoise.stacks.denoise import denoise_stack
from skydenoise.stacks.pixels import StackFile

with job_log(snakemake.log[0]):
    params = snakemake.params
    torch.set_num_threads(snakemake.threads)
    settings = rebuild(PredictSettings, params.settings)
    denoiser = load_denoiser(Path(snakemake.input.weights).parent, settings)
    denoise_stack(rebuild(StackFile, params.stack), Path(snakemake.output.denoised), denoiser)
