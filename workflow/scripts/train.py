import sys

from skydenoise.joblog import job_log
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train

with job_log(sys.argv[2]):
    train(TrainJob.from_json(sys.argv[1]))
