"""The speed benchmark runs, and compares like with like; nothing here depends on how fast the machine is."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import machine
from benchmarks.speed import cpu, jobs, kernels, limits, measure, prediction, training
from benchmarks.speed.inputs import Inputs, enlarged, make_inputs
from benchmarks.speed.measure import Timing, times_slower
from benchmarks.speed.ranks import EPOCH_STEPS, EPOCHS, apart, ranks, visible_cards
from benchmarks.speed.scales import FULL, TINY
from benchmarks.speed.table import keep
from skydenoise import starlet
from skydenoise.config import Architecture, TrainSettings
from skydenoise.fill import fill
from skydenoise.io import read_denoised
from skydenoise.network import read_description
from skydenoise.predict.denoise import apply_network
from skydenoise.predict.tiles import window
from skydenoise.simulate import BANDS
from skydenoise.stretch import Stretch
from skydenoise.train.job import TrainJob

TILE, OVERLAP = 64, 16
EDGE = TILE + 3 * (TILE - OVERLAP)
"""At this size MONAI's tiles lie where ours do."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    scale = replace(TINY, edge=EDGE, tile=TILE, overlap=OVERLAP, chunks=(1, 2))
    return make_inputs(tmp_path_factory.mktemp("speed"), scale)


def test_ratios_are_of_pairs_and_by_their_median():
    ours, other = Timing((1.0, 2.0, 1.0), (1.0, 1.0, 1.0)), Timing((2.0, 5.0, 3.0), (4.0, 4.0, 4.0))
    assert times_slower(other, ours) == {"ratio": 2.5, "ratio_low": 2.0, "ratio_high": 3.0, "ratio_cpu": 4.0}
    assert (other.median, other.spread) == (3.0, 0.5)


def test_candidates_take_turns():
    seen: list[str] = []
    found = measure.take_turns({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 2)
    assert seen == ["a", "b"] * 3
    assert len(found["a"].seconds) == 2


def test_memory_is_that_of_the_candidate_alone():
    found = measure.take_turns_apart(
        {"little": (partial, (np.ones, 1 << 17)), "much": (partial, (np.ones, 200 << 17))}, 1
    )
    assert found["little"].memory_mib < 50
    assert 190 < found["much"].memory_mib < 250


def test_bricks_are_enlarged_by_mirroring(inputs):
    brick = inputs.brick()
    assert brick.image.shape == (3, EDGE, EDGE)
    large = enlarged(brick, 3 * EDGE - 7)
    np.testing.assert_array_equal(large.image[:, EDGE : 2 * EDGE], large.image[:, EDGE - 1 :: -1][:, :EDGE])


def test_monai_gives_our_result_with_our_window(inputs):
    pytest.importorskip("monai")
    brick = inputs.brick()
    denoiser, _ = prediction.timed_denoiser(inputs, precision="float32")
    ours = apply_network(brick.image, brick, denoiser)
    edge = torch.from_numpy(window(TILE, OVERLAP))
    theirs = prediction.monai_image(brick.image, inputs, "cpu", 4, edge[:, None] * edge)
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4 * np.abs(ours).mean())


@pytest.mark.skipif(importlib.util.find_spec("careamics") is None, reason="CAREamics is not installed")
@pytest.mark.filterwarnings("ignore")  # of its imports
def test_careamics_gives_our_result_where_tiles_do_not_overlap(inputs):
    brick = inputs.brick()
    denoiser, _ = prediction.timed_denoiser(inputs, precision="float32")
    ours = apply_network(brick.image, brick, denoiser)
    theirs = prediction.careamics(inputs, "cpu", 4)()
    assert theirs.shape == ours.shape
    inner = np.s_[:, : TILE - OVERLAP, : TILE - OVERLAP]  # the first tile's own
    np.testing.assert_allclose(theirs[inner], ours[inner], rtol=1e-4, atol=1e-4 * np.abs(ours).mean())


def test_the_plain_loop_gives_our_result(inputs):
    brick = inputs.brick()
    denoiser, _ = prediction.timed_denoiser(inputs, precision="float32")
    ours = apply_network(brick.image, brick, denoiser)
    np.testing.assert_allclose(
        prediction.plain_loop(inputs, "cpu")(), ours, rtol=1e-4, atol=1e-4 * np.abs(ours).mean()
    )


def test_every_part_of_a_brick_is_timed(inputs):
    rows = prediction.parts(inputs)
    names = ["read", "fill", "network", "blend", "recover", "sigma and flags", "write"]
    assert [row["what"] for row in rows] == names
    assert sum(row["cpu_share"] for row in rows) == pytest.approx(1, abs=0.01)
    assert np.isfinite(read_denoised(inputs.results, inputs.names[0], BANDS).image).all()
    assert fill(inputs.brick().image, inputs.brick().usable).shape == (3, EDGE, EDGE)


def test_a_job_says_how_many_bricks_it_does_and_how_busy_the_network_is(inputs, monkeypatch):
    monkeypatch.setattr(jobs, "cores", lambda: 1)
    (one, two) = jobs.pipeline(inputs)
    assert [one["what"], two["what"]] == ["1 bricks, 1 processes", "2 bricks, 1 processes"]
    for row in (one, two):
        assert 0 < row["network_busy"] < 1
        assert row["bricks_per_hour"] > 3600 / row["seconds"]
        assert 0 <= row["imported_s"] <= row["start_s"] <= row["all_ready_s"] < row["seconds"]


def test_the_network_stays_below_the_limit_of_the_machine(inputs):
    rows = {row["what"]: row["value"] for row in limits.limits(inputs)}
    assert rows["operations of the network, kflop per pixel of a tile"] == pytest.approx(87.2, abs=0.1)
    assert rows["pixels of tiles per pixel of the brick"] == pytest.approx(16 * TILE**2 / EDGE**2, abs=1e-3)
    assert rows["memory bandwidth of a copy, GB/s"] > 0


def test_what_each_convolution_reads_and_writes_is_counted():
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 2, 2, stride=2))
    with limits.layers_counted(network) as moved:
        network(torch.zeros(1, 3, 4, 4))
    network(torch.zeros(1, 3, 4, 4))
    assert moved == [3 * 16 + 5 * 16, 5 * 16 + 2 * 4]


def test_scipy_s_starlet_is_ours():
    image = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    np.testing.assert_allclose(
        kernels.scipy_starlet(image, 3), starlet.transform(torch.from_numpy(image), 3), atol=1e-6
    )


def test_all_ways_to_stretch_agree():
    image = np.random.default_rng(0).normal(size=(3, 600, 500)).astype(np.float32)
    ours, *others = kernels._stretches(Stretch(0.02), image).values()
    assert len(ours()) == 3  # parts
    for other in others:
        np.testing.assert_allclose(np.concatenate(other(), 1), np.concatenate(ours(), 1), rtol=1e-6)


def test_a_training_step_moves_the_weights(inputs, tmp_path):
    inputs = replace(inputs, results=tmp_path)
    assert pytest.approx(1.9e6, rel=0.02) == training.PAPER_PIXELS
    training.prepare(inputs, 16)
    run = training.ours(inputs, "cpu", TrainSettings(batch_size=2))
    state = next(cell.cell_contents for cell in run.__closure__ if hasattr(cell.cell_contents, "optimizer"))
    before = [parameter.clone() for parameter in state.network.parameters()]
    run()
    after = list(state.network.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_two_ranks_train_and_are_timed(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.ranks.cores", lambda: 2)
    inputs = replace(inputs, results=tmp_path, scale=replace(inputs.scale, ranks=(2, 3)))
    in_step, alone = ranks(inputs)  # there are no cores for three
    assert (in_step["what"], alone["what"]) == ("2 ranks", "2 trainings side by side")
    assert in_step["times"] == 1
    assert min(in_step["patches_per_s"], alone["patches_per_s"]) > 0
    for folder, number, batches in (("trained", 2, 1), ("0-trained", 1, 2), ("1-trained", 1, 2)):
        made = read_description(tmp_path / folder / "model.json").provenance
        assert (made["ranks"], made["steps"]) == (number, batches * EPOCHS * EPOCH_STEPS)


def test_separate_trainings_run_at_the_same_time_each_on_a_card_of_its_own(tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=30)
    seen = []

    def rate(job, cards, number, processes):
        both.wait()
        seen.append((job.model.name, job.settings.batch_size, cards, number, processes))
        return 1.5

    monkeypatch.setattr("benchmarks.speed.ranks.patches_per_second", rate)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    paths = (tmp_path / name for name in ("patches", "noise.json", "trained", "log.csv", "tensorboard"))
    job = TrainJob(*paths, Architecture(), TrainSettings(batch_size=4), softening=10)
    assert apart(job, 2, "cuda") == 3
    assert sorted(seen) == [("0-trained", 2, ["3"], 1, 2), ("1-trained", 2, ["5"], 1, 2)]
    assert visible_cards("cpu") == []


def test_results_name_machine_versions_and_date(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    keep("try", "python -m benchmarks.speed.cpu", [{"part": "a", "what": "b", "seconds": 1.0}])
    content = json.loads((tmp_path / "try.json").read_text())
    assert {"processor", "cores", "date"} <= content["machine"].keys()
    assert "try.json" in capsys.readouterr().out


def test_the_settings_measured_are_the_defaults_and_peers_are_optional():
    assert (FULL.edge, FULL.tile, FULL.overlap, FULL.patch) == (3600, 256, 32, 256)
    assert set(cpu.PARTS) == {
        "limits", "parts", "tiles", "peers", "pipeline", "safety", "kernels", "training", "precisions",
        "ranks", "overhead",
    }  # fmt: skip
    assert Path(importlib.util.find_spec("benchmarks.speed.gpu").origin).is_file()
