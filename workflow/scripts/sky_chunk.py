import json
from pathlib import Path

from skydenoise.config import SkySettings, rebuild
from skydenoise.io.atomic import write_text
from skydenoise.io.manifest import read_manifest
from skydenoise.joblog import job_log
from skydenoise.network import read_description
from skydenoise.sky.chunk import Search, add_bricks
from skydenoise.sky.found import least_scores
from skydenoise.sky.pyramid import pyramid_of

with job_log(snakemake.log[0]):
    inputs, params, records = snakemake.input, snakemake.params, Path(snakemake.output.records)
    settings = rebuild(SkySettings, params.settings)
    noise = read_description(Path(inputs.description)).noise
    search = Search(noise, params.fwhm, least_scores(list(inputs.detection), settings.score))
    pyramid = pyramid_of(records.parents[1], settings, noise)
    found = add_bricks(read_manifest(Path(inputs.manifest)), Path(params.cache), pyramid, search)
    write_text(records, json.dumps(found))
