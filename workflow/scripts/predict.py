from pathlib import Path

import torch

from skydenoise.allocator import reuse_freed_memory
from skydenoise.joblog import job_log
from skydenoise.manifest import finished
from skydenoise.predict import load_denoiser, predict_bricks

with job_log(snakemake.log[0]):
    reuse_freed_memory()
    params = snakemake.params
    torch.set_num_threads(snakemake.threads)
    denoiser = load_denoiser(Path(snakemake.input.weights).parent, params.settings)
    names = finished([snakemake.input.fetched])
    manifest = Path(snakemake.output.manifest)
    predict_bricks(names, params.cache, params.root, denoiser, params.output, manifest)
