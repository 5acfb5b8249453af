from pathlib import Path

from skydenoise.config import rebuild
from skydenoise.joblog import job_log
from skydenoise.stacks.picture import draw_stack
from skydenoise.stacks.pixels import StackFile

with job_log(snakemake.log[0]):
    stack = rebuild(StackFile, snakemake.params.stack)
    draw_stack(stack, Path(snakemake.input.denoised), Path(snakemake.output.picture))
