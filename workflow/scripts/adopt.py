from pathlib import Path

from skydenoise.joblog import job_log
from skydenoise.network import adopt_model

with job_log(snakemake.log[0]):
    adopt_model(
        Path(snakemake.input.description).parent,
        Path(snakemake.output.description).parent,
        snakemake.params.bands,
    )
