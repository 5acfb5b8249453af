from skydenoise.joblog import job_log
from skydenoise.simulate.survey import simulate_brick

with job_log(snakemake.log[0]):
    params = snakemake.params
    simulate_brick(snakemake.wildcards.brick, params.settings, params.mirror, params.root)
