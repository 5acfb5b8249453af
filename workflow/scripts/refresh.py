from pathlib import Path

from skydenoise.config import FetchSettings, rebuild
from skydenoise.io.manifest import forget
from skydenoise.joblog import job_log
from skydenoise.paths import Survey
from skydenoise.survey.refresh import forget_replaced

with job_log(snakemake.log[0]):
    params = snakemake.params
    survey, settings = Survey(**params.survey).absolute(), rebuild(FetchSettings, params.settings)
    bricks = forget_replaced(params.bricks, params.bands, survey, Path(params.cache), settings, params.places)
    for chains in params.chains.values():
        for manifest in forget(bricks, chains, params.summaries):
            print(f"forgotten: {manifest}")
