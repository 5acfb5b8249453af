from pathlib import Path

from skydenoise.config import FetchSettings, rebuild
from skydenoise.io.manifest import write_manifest
from skydenoise.joblog import job_log
from skydenoise.paths import Survey
from skydenoise.survey.fetch import fetch_bricks

# the process that reads pixels which nothing vouches for imports this file anew
if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        params = snakemake.params
        survey, settings = Survey(**params.survey).absolute(), rebuild(FetchSettings, params.settings)
        entries = fetch_bricks(
            params.bricks, params.bands, survey, Path(params.cache), settings, params.places
        )
        write_manifest(Path(snakemake.output.manifest), entries)
