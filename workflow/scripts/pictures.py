from pathlib import Path

from skydenoise.evaluate.figures.bricks import draw_bricks
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    params, folder = snakemake.params, Path(snakemake.output.folder)
    names = sorted(set(finished(snakemake.input.manifests)) & set(params.bricks))
    draw_bricks(names, Path(params.cache), folder.parents[1], params.bands, folder, params.credit)
