from pathlib import Path

from skydenoise.config import SkySettings, rebuild
from skydenoise.joblog import job_log
from skydenoise.network import read_description
from skydenoise.sky.found import least_scores
from skydenoise.sky.pyramid import Pyramid
from skydenoise.sky.survey import write_sky

with job_log(snakemake.log[0]):
    inputs, params = snakemake.input, snakemake.params
    settings = rebuild(SkySettings, params.settings)
    noise = read_description(Path(inputs.description)).noise
    least = least_scores(list(inputs.detection), settings.score)
    pyramid = Pyramid(Path(snakemake.output.page).parent, settings, noise)
    records, manifests = map(Path, inputs.records), map(Path, [*inputs.fetched, *inputs.predicted])
    write_sky(pyramid, list(records), list(manifests), Path(params.cache), params.credit, least)
