from pathlib import Path

from skydenoise.frames.picture import draw_stack
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    stack = snakemake.params.stack
    draw_stack(stack, Path(snakemake.input.denoised), Path(snakemake.output.picture))
