from pathlib import Path

import numpy as np

from skydenoise.joblog import job_log
from skydenoise.paper.dr8 import Restored, report

with job_log(snakemake.log[0]):
    params, picture = snakemake.params, Path(snakemake.output.picture)
    restored = Restored.read(params.cache, params.root, snakemake.wildcards.brick, params.bands)
    report(restored, picture.with_suffix(""), params.credit, np.random.default_rng(0))
