"""One rank of a training: `python -m skydenoise.train JOB LOG`, started once or by torchrun or srun.

JOB : a TrainJob as JSON
LOG : file of the job's log
"""

import os
import sys
import threading
import time

from skydenoise.joblog import job_log
from skydenoise.train.job import TrainJob
from skydenoise.train.loop import train
from skydenoise.train.ranks import place_among_ranks


def end_with_parent() -> None:
    """End this process when the one that started it is gone: a torchrun that is killed ends no rank."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    if "TORCHELASTIC_RUN_ID" in os.environ:
        end_with_parent()
    rank, _, _ = place_among_ranks(os.environ)
    with job_log(sys.argv[2], lock=rank == 0):
        train(TrainJob.from_json(sys.argv[1]))
