from pathlib import Path

from skydenoise.io.manifest import forget_skipped
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    chunks = [list(map(Path, chunk)) for chunk in snakemake.params.chunks]
    for manifest in forget_skipped(chunks, map(Path, snakemake.params.summaries)):
        print(f"forgotten: {manifest}")
