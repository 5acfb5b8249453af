import json
from pathlib import Path

from skydenoise.config import SkySettings, rebuild
from skydenoise.io.atomic import write_text
from skydenoise.io.manifest import read_manifest
from skydenoise.joblog import job_log
from skydenoise.network import read_description
from skydenoise.sky.chunk import add_bricks
from skydenoise.sky.found import least_scores
from skydenoise.sky.pyramid import Pyramid

with job_log(snakemake.log[0]):
    inputs, params, records = snakemake.input, snakemake.params, Path(snakemake.output.records)
    settings = rebuild(SkySettings, params.settings)
    noise = read_description(Path(inputs.description)).noise
    least = least_scores(list(inputs.detection), settings.score)
    pyramid = Pyramid(records.parents[1], settings, noise)
    entries = read_manifest(Path(inputs.manifest))
    found = add_bricks(entries, Path(params.cache), pyramid, params.fwhm, least)
    write_text(records, json.dumps(found))
