from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.manifest import forget_skipped

with job_log(snakemake.log[0]):
    for manifest in forget_skipped([list(map(Path, chunk)) for chunk in snakemake.params.chunks]):
        print(f"forgotten: {manifest}")
