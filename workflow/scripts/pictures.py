from pathlib import Path

from skydenoise.evaluate import before_after, galaxy_gallery, has_truth, read_truth
from skydenoise.io import read_brick, read_denoised
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    params, folder = snakemake.params, Path(snakemake.output.folder)
    cache, root = Path(params.cache), Path(params.root)
    for name in sorted(set(finished(snakemake.input.manifests)) & set(params.bricks)):
        brick = read_brick(cache, name, params.bands)
        denoised = read_denoised(root, name, params.bands)
        known = has_truth(root, name, params.bands)
        truth = read_truth(root, name, params.bands)[0] if known else None
        for view, draw in (("brick", before_after), ("galaxies", galaxy_gallery)):
            draw(brick, denoised, folder / f"{name}-{view}.png", truth, f"brick {name}", params.credit)
