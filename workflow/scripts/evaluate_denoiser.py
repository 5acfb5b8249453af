from pathlib import Path

import torch
from astropy.table import Table

from skydenoise.config import EvaluationSettings, PredictSettings, rebuild
from skydenoise.evaluate.figures.plots import injection_plot
from skydenoise.evaluate.run import evaluate_denoiser
from skydenoise.io.manifest import finished
from skydenoise.joblog import job_log
from skydenoise.predict import load_denoiser

with job_log(snakemake.log[0]):
    params = snakemake.params
    torch.set_num_threads(snakemake.threads)
    denoiser = load_denoiser(Path(snakemake.input.weights).parent, rebuild(PredictSettings, params.predict))
    names = [name for name in finished(snakemake.input.manifests) if name in set(params.bricks)]
    plot = Path(snakemake.output.plot)
    cache, root = Path(params.cache), plot.parents[1]
    settings = rebuild(EvaluationSettings, params.settings)
    evaluate_denoiser(names, cache, root, denoiser, settings, plot.parent)
    injection_plot(Table.read(plot.parent / "injection.ecsv"), plot)
