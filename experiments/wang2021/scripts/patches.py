from pathlib import Path

from experiments.wang2021.frames import cut_frames
from skydenoise.config import PatchSettings
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    folder = Path(snakemake.output.positions).parent
    cut_frames(Path(snakemake.input[0]).parent, PatchSettings(**snakemake.params.settings), folder)
