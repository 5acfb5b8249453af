"""The speed benchmark runs, and compares like with like; nothing here depends on how fast the machine is."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.machine import machine
from benchmarks.speed import peers, training
from benchmarks.speed.bricks import ORDER, PartClock, _job, _parts
from benchmarks.speed.inputs import Inputs, Scale, enlarged, make_inputs
from benchmarks.speed.timing import Timing, take_turns
from skydenoise.config import PredictSettings
from skydenoise.predict.tiles import window

TILE, OVERLAP = 64, 16
EDGE = TILE + 3 * (TILE - OVERLAP)
"""At this size MONAI's tiles lie where ours do."""


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    settings = PredictSettings(tile=TILE, overlap=OVERLAP)
    scale = Scale(EDGE, (1,), 1, (4,), batch=2, steps=1, patch=32, settings=settings)
    return make_inputs(tmp_path_factory.mktemp("speed"), scale)


def test_a_row_has_medians_and_the_ratio_of_pairs():
    ours, other = Timing((1.0, 2.0, 1.0), (1.0,) * 3, 10), Timing((2.0, 5.0, 3.0), (4.0,) * 3, 20)
    row = other.row("tiles", "other", ours)
    assert row == {
        "part": "tiles", "what": "other", "seconds": 3.0, "spread": 0.5, "cpu_seconds": 4.0, "memory_mib": 20,
        "times": 2.5,
    }  # fmt: skip


def test_memory_is_that_of_the_candidate_alone():
    found = take_turns({"little": (partial, (np.ones, 1 << 17)), "much": (partial, (np.ones, 200 << 17))}, 1)
    assert found["little"].memory_mib < 50
    assert 190 < found["much"].memory_mib < 250


def test_time_belongs_to_the_innermost_part():
    clock = PartClock()
    inner = clock.timed("inner", lambda: None)
    with clock.part("outer"):
        inner()
        with clock.part("inner"):
            pass
    assert set(clock.taken) == {"elsewhere", "outer", "inner"}
    assert all(seconds.min() >= 0 for seconds in clock.taken.values())


def test_bricks_are_enlarged_by_mirroring(inputs):
    brick = inputs.brick()
    assert brick.image.shape == (3, EDGE, EDGE)
    large = enlarged(brick, 3 * EDGE - 7)
    np.testing.assert_array_equal(large.image[:, EDGE : 2 * EDGE], large.image[:, EDGE - 1 :: -1][:, :EDGE])


@pytest.mark.parametrize("peer", ["monai", "plain_loop"])
def test_peers_give_our_result(inputs, peer):
    if peer == "monai":
        pytest.importorskip("monai")
        edge = torch.from_numpy(window(TILE, OVERLAP))
        run = peers.monai(inputs, 4, edge[:, None] * edge)
    else:
        run = peers.plain_loop(inputs)
    ours, theirs = peers.ours(inputs)(), run()
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4 * np.abs(ours).mean())


def test_every_part_of_a_brick_is_timed(inputs):
    *rows, together = _parts(inputs)
    assert tuple(row["what"] for row in rows) == ORDER
    assert all(row["seconds"] > 0 for row in rows)
    assert together["seconds"] == pytest.approx(sum(row["seconds"] for row in rows), rel=0.1)


def test_a_job_says_what_a_brick_takes(inputs, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.bricks.cores", lambda: 1)
    row = _job(inputs, 1)
    assert row["what"] == "of 1 on 1 cores"
    assert row["memory_mib"] > 100


def test_a_training_takes_its_steps(inputs, tmp_path, monkeypatch):
    inputs = replace(inputs, results=tmp_path)
    training.prepare(inputs, 16)
    steps = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *a: (steps.append(1), step(self, *a))[1])
    training.steps(inputs, "float32")()
    assert len(steps) == inputs.scale.steps


def test_a_machine_is_described_with_its_date_and_packages():
    about = machine()
    assert {"processor", "cores", "memory_mib", "date"} <= about.keys()
    assert "torch" in about["packages"]
