from pathlib import Path

from skydenoise.config import rebuild
from skydenoise.joblog import job_log
from skydenoise.simulate import SimulationSettings
from skydenoise.simulate.survey import simulate_brick

with job_log(snakemake.log[0]):
    params = snakemake.params
    settings = rebuild(SimulationSettings, params.settings)
    simulate_brick(snakemake.wildcards.brick, settings, Path(params.mirror), Path(params.root))
