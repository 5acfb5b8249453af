import sys

from skydenoise.joblog import job_log
from skydenoise.train import TrainJob, train

with job_log(sys.argv[2]):
    train(TrainJob.from_json(sys.argv[1]))
