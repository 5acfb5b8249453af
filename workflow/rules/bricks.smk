"""Bricks of the sky, from the survey to mosaics and measures of quality.

in   config: survey, the table of bricks
out  <results>/{coadd,mosaic,evaluation}/..., skipped.tsv, summary.txt
"""

if RUN.simulation:

    include: "simulate.smk"


include: "fetch.smk"
include: "patches.smk"
include: "predict.smk"
include: "mosaic.smk"
include: "evaluate.smk"
include: "sky.smk"
