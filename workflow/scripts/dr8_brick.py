from pathlib import Path

import numpy as np

from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log
from skydenoise.paper.dr8 import Restored, report, report_skipped

with job_log(snakemake.log[0]):
    params, name = snakemake.params, snakemake.wildcards.brick
    stem = Path(snakemake.output.picture).with_suffix("")
    if name in finished(snakemake.input.manifest):
        restored = Restored.read(params.cache, params.root, name, params.bands)
        report(restored, stem, params.credit, np.random.default_rng(0))
    else:
        report_skipped(name, stem)
