from pathlib import Path

import torch

from skydenoise.joblog import job_log
from skydenoise.paper.restore import denoise_variant
from skydenoise.predict.allocator import reuse_freed_memory

with job_log(snakemake.log[0]):
    reuse_freed_memory()
    torch.set_num_threads(snakemake.threads)
    folder = Path(snakemake.output.denoised).parent
    denoise_variant(folder.parent, folder, snakemake.params.settings)
