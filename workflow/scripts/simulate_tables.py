from pathlib import Path

from skydenoise.config import rebuild
from skydenoise.joblog import job_log
from skydenoise.simulate import SimulationSettings
from skydenoise.simulate.survey import write_survey_tables

with job_log(snakemake.log[0]):
    settings = rebuild(SimulationSettings, snakemake.params.settings)
    write_survey_tables(Path(snakemake.output[0]).parents[1], settings)
