from pathlib import Path

from skydenoise.config import MosaicSettings, rebuild
from skydenoise.io.manifest import bands_of
from skydenoise.joblog import job_log
from skydenoise.mosaic import MosaicInput, mosaic_band
from skydenoise.network import read_description
from skydenoise.paths import coadd_file, raw_file

with job_log(snakemake.log[0]):
    params, band = snakemake.params, snakemake.wildcards.band
    cache, root = Path(params.cache), Path(snakemake.output.image).parents[2]
    bands = bands_of(snakemake.input.manifests)
    inputs = [
        MosaicInput(
            *(name, band, coadd_file(root, name, "image", band) if band in bands[name] else None),
            *(raw_file(cache, name, "invvar", band), coadd_file(root, name, "flags")),
        )
        for name in params.bricks
        if name in bands
    ]
    output = Path(snakemake.output.image), Path(snakemake.output.invvar)
    provenance = {"SDMODEL": read_description(Path(snakemake.input.description)).sha256[:32]}
    mosaic_band(inputs, *output, rebuild(MosaicSettings, params.settings), provenance)
