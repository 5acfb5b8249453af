from pathlib import Path

from skydenoise.config import PatchSettings, rebuild
from skydenoise.joblog import job_log
from skydenoise.noise import NoiseModel
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.series import cut_frames

with job_log(snakemake.log[0]):
    params = snakemake.params
    stacks = {name: rebuild(StackFile, content) for name, content in params.stacks.items()}
    noise = NoiseModel.read(Path(snakemake.input.noise))
    settings = rebuild(PatchSettings, params.settings)
    cut_frames(stacks, noise, settings, Path(snakemake.output.positions).parent)
