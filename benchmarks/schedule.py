"""A survey on a Slurm cluster, simulated: chunks as jobs, what Snakemake and Slurm wait for, jobs that die.

Snakemake keeps at most `jobs` jobs in Slurm's queue, submits them one after the other, and looks at times for
those that have ended; only then does it submit others. A job denoises a brick in each of its processes, the
next one in whichever is free. One that fails is noticed at the next look and submitted again; one that is
preempted Slurm starts again by itself after a while. Either way finished bricks are kept (predict/chunk.py).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from heapq import heapreplace

import numpy as np
import simpy
from numpy.typing import NDArray

LOOK_MORE, LOOK_MOST = 10.0, 180.0
"""The Slurm executor (2.8) waits so much longer after each look that finds nothing, s, up to this."""
DONE, FAILED, PREEMPTED = "done", "failed", "preempted"


@dataclass(frozen=True)
class Cluster:
    """Nodes for this run alone, and jobs as profiles/slurm asks for them. Times in seconds.

    cores : of a node
    threads : cores of a job, and bricks that it does at a time
    jobs : most in the queue, running ones included
    look : from one look for ended jobs to the next, at least
    submit : of one job, by Snakemake and sbatch
    start : from Slurm's start of a job to its first pixel
    requeue : for which Slurm holds a preempted job back
    failed, preempted : chance of either for each start of a job, at any moment of it
    """

    nodes: int
    cores: int
    threads: int
    jobs: int
    look: float
    submit: float = 0.1
    start: float = 8.0
    requeue: float = 120.0
    failed: float = 0.01
    preempted: float = 0.05


@dataclass(frozen=True)
class Schedule:
    """What came of a run.

    wall : seconds until Snakemake has seen the last job end
    ideal : seconds, if all cores of the cluster shared the work evenly
    allocated : core-seconds of all jobs, with what was idle or lost
    starts : of jobs
    """

    wall: float
    ideal: float
    allocated: float
    starts: int


def simulate(
    chunks: Sequence[NDArray[np.float64]], cluster: Cluster, generator: np.random.Generator
) -> Schedule:
    """Run all chunks, each an array of the seconds that its bricks take on one core."""
    run = _Run(cluster, generator)
    run.world.process(run.looks())
    run.world.run(simpy.AllOf(run.world, [run.world.process(run.chunk(each.tolist())) for each in chunks]))
    ideal = float(sum(map(np.sum, chunks))) / (cluster.nodes * cluster.cores)
    return Schedule(run.world.now, ideal, run.allocated, run.starts)


@dataclass
class _Run:
    """Its clock, what jobs wait for, what they took, and those that have ended unseen."""

    cluster: Cluster
    generator: np.random.Generator
    world: simpy.Environment = field(default_factory=simpy.Environment)
    allocated: float = 0.0
    starts: int = 0
    unseen: list[simpy.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        of_node = self.cluster.cores // self.cluster.threads
        self.slots = simpy.Resource(self.world, self.cluster.nodes * of_node)
        self.queue = simpy.Resource(self.world, self.cluster.jobs)
        self.sbatch = simpy.Resource(self.world)

    def looks(self) -> Generator[simpy.Event, None, None]:
        """Snakemake learns now and then which jobs have ended."""
        pause = self.cluster.look
        while True:
            yield self.world.timeout(pause)
            pause = self.cluster.look if self.unseen else min(pause + LOOK_MORE, LOOK_MOST)
            for ended in self.unseen:
                ended.succeed()
            self.unseen.clear()

    def chunk(self, bricks: list[float]) -> Generator[simpy.Event, None, None]:
        """Submitted until it is done."""
        how = FAILED
        while how == FAILED:
            with self.queue.request() as place:
                yield place
                with self.sbatch.request() as turn:
                    yield turn
                    yield self.world.timeout(self.cluster.submit)
                how, bricks = yield from self.job(bricks)
                self.unseen.append(seen := self.world.event())
                yield seen

    def job(self, bricks: list[float]) -> Generator[simpy.Event, None, tuple[str, list[float]]]:
        """Started until it has ended, but for preemption; returns how, and the bricks that it leaves."""
        while True:
            with self.slots.request() as slot:
                yield slot
                lasts, how, bricks = attempt(bricks, self.cluster, self.generator)
                yield self.world.timeout(lasts)
            self.starts += 1
            self.allocated += lasts * self.cluster.threads
            if how != PREEMPTED:
                return how, bricks
            yield self.world.timeout(self.cluster.requeue)


def attempt(
    bricks: list[float], cluster: Cluster, generator: np.random.Generator
) -> tuple[float, str, list[float]]:
    """Seconds that one start of a job lasts, how it ends, and the bricks that it leaves."""
    free, ends = [cluster.start] * cluster.threads, []
    for seconds in bricks:
        ends.append(free[0] + seconds)  # in the process that is free first
        heapreplace(free, ends[-1])
    whole, fate = max(free), generator.random()
    if fate >= cluster.failed + cluster.preempted:
        return whole, DONE, []
    lasts = generator.uniform(0, whole)
    left = [seconds for seconds, end in zip(bricks, ends, strict=True) if end > lasts]
    return lasts, FAILED if fate < cluster.failed else PREEMPTED, left
