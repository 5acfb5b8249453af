from pathlib import Path

from skydenoise.config import rebuild
from skydenoise.joblog import job_log
from skydenoise.simulate import SimulationSettings

with job_log(snakemake.log[0]):
    from skydenoise.simulate.survey import simulate_brick  # says in the log if GalSim is missing

    settings = rebuild(SimulationSettings, snakemake.params.settings)
    mirror, root = Path(snakemake.output.maskbits).parents[5], Path(snakemake.output.catalogue).parents[3]
    simulate_brick(snakemake.wildcards.brick, settings, mirror, root)
