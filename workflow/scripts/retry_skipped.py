from pathlib import Path

from skydenoise.io.manifest import forget, skipped_bricks
from skydenoise.joblog import job_log
from skydenoise.survey.refresh import forget_fetched

with job_log(snakemake.log[0]):
    params = snakemake.params
    for chains in params.chains.values():
        bricks = skipped_bricks(chains)
        forget_fetched(bricks, Path(params.cache))
        for manifest in forget(bricks, chains, params.summaries):
            print(f"forgotten: {manifest}")
