from pathlib import Path

import torch

from skydenoise.joblog import job_log
from skydenoise.paper.restore import denoise_variant

with job_log(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    folder = Path(snakemake.output.denoised).parent
    denoise_variant(folder.parent, folder, snakemake.params.settings)
