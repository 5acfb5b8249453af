from pathlib import Path

from skydenoise.evaluate.figures.plots import training_curve
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    training_curve(Path(snakemake.input.curve), Path(snakemake.output.plot))
