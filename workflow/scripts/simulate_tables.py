from skydenoise.joblog import job_log
from skydenoise.simulate.survey import write_survey_tables

with job_log(snakemake.log[0]):
    write_survey_tables(snakemake.params.mirror, snakemake.params.settings)
