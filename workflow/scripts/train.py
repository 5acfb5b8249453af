import sys

from skydenoise.allocator import reuse_freed_memory
from skydenoise.joblog import job_log
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train

with job_log(sys.argv[2]):
    reuse_freed_memory()
    train(TrainJob.from_json(sys.argv[1]))
