from pathlib import Path

from skydenoise.config import rebuild
from skydenoise.io.atomic import write_json
from skydenoise.joblog import job_log
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.series import measure_series, open_series

with job_log(snakemake.log[0]):
    params = snakemake.params
    stacks = {name: rebuild(StackFile, content) for name, content in params.stacks.items()}
    with open_series(stacks, params.bands) as series:
        write_json(Path(snakemake.output.noise), measure_series(series, params.scales).to_json())
