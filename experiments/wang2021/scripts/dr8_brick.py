from pathlib import Path

import numpy as np

from experiments.wang2021.dr8 import BeforeAfter, report, report_skipped
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    params, name = snakemake.params, snakemake.wildcards.brick
    stem = Path(snakemake.output.picture).with_suffix("")
    if name in finished(snakemake.input.manifests):
        both = BeforeAfter.read(Path(params.cache), Path(params.root), name, params.bands)
        report(both, stem, params.credit, np.random.default_rng(0))
    else:
        report_skipped(name, stem)
