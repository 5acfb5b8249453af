from functools import partial
from pathlib import Path

import torch

from experiments.wang2021.snapshots import FollowedTraining
from skydenoise.config import Architecture, TrainSettings
from skydenoise.joblog import job_log
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train

with job_log(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    given, params = snakemake.input, snakemake.params
    folder = Path(snakemake.output.curve).parent
    job = TrainJob(
        patches=Path(given.patches).parent,
        noise=Path(given.noise),
        model=folder / "model",
        log=folder / "training.csv",
        tensorboard=folder / "tensorboard",
        architecture=Architecture(**params.architecture),
        settings=TrainSettings(**params.settings),
        softening=params.softening,
        provenance={"experiment": params.experiment},
    )
    train(job, partial(FollowedTraining, every=params.snapshots))
