from pathlib import Path

import torch

from skydenoise.joblog import job_log
from skydenoise.predict import load_denoiser
from skydenoise.stacks.steps import denoise_stack

with job_log(snakemake.log[0]):
    params = snakemake.params
    torch.set_num_threads(snakemake.threads)
    denoiser = load_denoiser(Path(snakemake.input.weights).parent, params.settings)
    denoise_stack(params.stack, Path(snakemake.output.denoised), denoiser)
