from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.stacks.picture import draw_stack

with job_log(snakemake.log[0]):
    stack = snakemake.params.stack
    draw_stack(stack, Path(snakemake.input.denoised), Path(snakemake.output.picture))
