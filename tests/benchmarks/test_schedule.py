"""The simulated cluster: what a run takes where that can be reckoned by hand."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import scale
from benchmarks.schedule import Cluster, attempt, simulate

QUIET = Cluster(1, 8, 8, jobs=9, look=30, submit=0, start=8, failed=0, preempted=0)


def chunks(number, bricks=16, seconds=10.0):
    return [np.full(bricks, seconds)] * number


def run(cluster, work, seed=1):
    return simulate(work, cluster, np.random.default_rng(seed))


def test_one_job_takes_its_start_and_its_rounds_of_bricks_and_is_seen_at_the_next_look():
    found = run(QUIET, chunks(1))
    assert (found.wall, found.ideal, found.allocated, found.starts) == (30, 20, 28 * 8, 1)


def test_jobs_share_the_nodes_and_wait_for_each_other():
    assert run(QUIET, chunks(4)).wall == 4 * 30  # the last one ends at 112
    assert run(replace(QUIET, nodes=2), chunks(4)).wall == 2 * 30
    assert run(replace(QUIET, cores=16), chunks(4)).wall == 2 * 30


def test_what_may_be_in_the_queue_limits_what_runs():
    assert run(replace(QUIET, nodes=4), chunks(3)).wall == 30
    assert run(replace(QUIET, nodes=4, jobs=1), chunks(3)).wall == 3 * 30


def test_looks_become_rare_while_nothing_ends():
    assert run(replace(QUIET, look=60), [np.full(8, 300.0)]).wall == 60 + 70 + 80 + 90 + 100


def test_jobs_are_submitted_one_after_the_other():
    assert run(replace(QUIET, nodes=9), chunks(5)).wall == 30
    assert run(replace(QUIET, nodes=9, submit=5), chunks(5)).wall == 30 + 40  # ends at 25 + 28


def test_a_job_that_ends_early_leaves_only_what_is_not_finished():
    mortal = replace(QUIET, failed=1)
    lasts, how, left = attempt([10.0] * 20, mortal, np.random.default_rng(5))
    assert how == "failed"
    assert 0 < lasts < 8 + 30
    assert left == [10.0] * (20 - 8 * int(max(0, lasts - 8) // 10))


@pytest.mark.parametrize("fate", ["failed", "preempted"])
def test_work_that_is_lost_is_done_again(fate):
    found = run(replace(QUIET, nodes=20, jobs=99, requeue=50, **{fate: 0.3}), chunks(60))
    smooth = run(replace(QUIET, nodes=20, jobs=99), chunks(60))
    assert found.starts > smooth.starts == 60
    assert smooth.wall < found.wall
    assert smooth.allocated < found.allocated < 2 * smooth.allocated


def test_clusters_have_the_jobs_of_the_profile():
    assert scale.cluster(10, False).jobs == scale.cluster(10, True).jobs == 200
    assert scale.cluster(1000, True).jobs == 8000
    assert (scale.cluster(10, True).threads, scale.cluster(10, True).look) == (8, 60)
    assert scale.default_chunk() == 64


def test_a_dry_run_of_the_survey_s_pattern_has_different_names():
    names = scale.brick_names(5000)
    assert len(set(names)) == 5000
    assert names[0] == "0000p000"
