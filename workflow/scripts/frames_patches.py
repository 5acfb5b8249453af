from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.noise import NoiseModel
from skydenoise.stacks.steps import cut_frames

with job_log(snakemake.log[0]):
    params = snakemake.params
    noise = NoiseModel.read(Path(snakemake.input.noise))
    cut_frames(params.stacks, noise, params.settings, Path(snakemake.output.positions).parent)
