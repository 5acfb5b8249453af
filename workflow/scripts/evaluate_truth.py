from pathlib import Path

from astropy.table import Table

from skydenoise.evaluate.figures.plots import bias_plot, detection_plot
from skydenoise.evaluate.run import evaluate_truth
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log
from skydenoise.network import read_description

with job_log(snakemake.log[0]):
    params = snakemake.params
    names = [name for name in finished(snakemake.input.manifests) if name in set(params.bricks)]
    noise = read_description(Path(snakemake.input.description)).noise
    folder = Path(snakemake.output.plot).parent
    evaluate_truth(names, Path(params.cache), folder.parent, noise, folder)
    tables = {Path(file).stem: Table.read(file) for file in snakemake.output.tables}
    bias_plot(tables["photometry"], Path(snakemake.output.plot))
    detection_plot(tables["completeness"], tables["purity"], Path(snakemake.output.detection))
