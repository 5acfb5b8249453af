import tempfile
from pathlib import Path

import torch

from benchmarks.quality.learned import learn
from benchmarks.quality.lesson import frames_lesson
from experiments.wang2021.restore import finish_peer, leave_out_peer
from skydenoise.config import PredictSettings, rebuild
from skydenoise.joblog import job_log

with job_log(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    given, params = snakemake.input, snakemake.params
    settings = rebuild(PredictSettings, params.settings)
    lesson = frames_lesson(Path(given.patches).parent, Path(given.description), settings, params.seed)
    folder = Path(snakemake.output.about).parent
    with tempfile.TemporaryDirectory() as kept:
        try:
            method, _ = learn(snakemake.wildcards.peer, lesson, Path(kept))
        except ImportError as error:
            leave_out_peer(folder, str(error))
        else:
            finish_peer(folder.parent, folder, method, lesson.seconds)
