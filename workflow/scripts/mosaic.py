from dataclasses import replace
from pathlib import Path

from skydenoise.config import rebuild
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log
from skydenoise.mosaic.mosaic import MosaicInput, mosaic_band
from skydenoise.mosaic.settings import MosaicSettings
from skydenoise.network import read_description
from skydenoise.paths import coadd_file, raw_file

# the processes that share the blocks import this file anew
if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        params, band = snakemake.params, snakemake.wildcards.band
        cache, root = Path(params.cache), Path(snakemake.output.image).parents[2]
        done = set(finished(snakemake.input.manifests))
        inputs = [
            MosaicInput(coadd_file(root, name, "image", band), raw_file(cache, name, "invvar", band))
            for name in params.bricks
            if name in done
        ]
        output = Path(snakemake.output.image), Path(snakemake.output.footprint)
        provenance = {"model": read_description(Path(snakemake.input.description)).sha256[:32]}
        settings = replace(rebuild(MosaicSettings, params.settings), workers=snakemake.threads)
        mosaic_band(inputs, *output, settings, provenance)
