import sys
from pathlib import Path

# in a conda environment Snakemake takes PYTHONPATH away from a command
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from skydenoise.joblog import job_log
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train

with job_log(sys.argv[2]):
    train(TrainJob.from_json(sys.argv[1]))
