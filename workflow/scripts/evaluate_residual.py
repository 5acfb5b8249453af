from pathlib import Path

from astropy.table import Table

from skydenoise.evaluate.figures.plots import residual_plot
from skydenoise.evaluate.run import evaluate_residual
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log
from skydenoise.network import read_description

with job_log(snakemake.log[0]):
    params = snakemake.params
    names = [name for name in finished(snakemake.input.manifests) if name in set(params.bricks)]
    noise = read_description(Path(snakemake.input.description)).noise
    table = Path(snakemake.output.table)
    evaluate_residual(names, Path(params.cache), table.parents[1], noise, table.parent)
    residual_plot(Table.read(table), Path(snakemake.output.plot))
