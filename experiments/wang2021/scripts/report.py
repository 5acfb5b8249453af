from pathlib import Path

from experiments.wang2021.catalogue import EXPERIMENTS
from experiments.wang2021.configuration import Configuration
from experiments.wang2021.outcome import read_outcome
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    folder = Path(snakemake.output.summary).parent
    outcome = read_outcome(folder, Configuration.of(snakemake.params.config))
    EXPERIMENTS[outcome.configuration.experiment].report(outcome, folder)
