import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from astropy.table import Table
from safetensors.torch import load_file

from skydenoise.config import Architecture, TrainSettings
from skydenoise.errors import SettingsError, StepError
from skydenoise.io.digest import file_digest
from skydenoise.network import Network, load_model
from skydenoise.noise import NoiseModel
from skydenoise.train.checkpoint import CHECKPOINT, TrainState
from skydenoise.train.loop import TrainJob, initial_state, learning_rate, train
from skydenoise.train.ranks import Ranks, join_ranks
from skydenoise.train.training import Training

TINY = Architecture(
    bands=2, fold=1, levels=1, width=4, bottleneck=2, residual_blocks=1, outputs=1, skips=False
)
SHORT = TrainSettings(epochs=3, batch_size=4, learning_rate=1e-2, validation=0.2, checkpoint_minutes=1e-9)
SCRIPT = (
    "import sys; from skydenoise.train.loop import TrainJob, train; train(TrainJob.from_json(sys.argv[1]))"
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bitwise equality is promised for equal numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def job(tmp_path: Path) -> TrainJob:
    """20 patches of 8x8 with one bright blob each, noise of 1 nMgy, one masked corner."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8] - 3.5
    blob = 30 * np.exp(-(x**2 + y**2) / 4)
    image = (blob + generator.standard_normal((20, 2, 8, 8))).astype(np.float32)
    invvar = np.ones_like(image)
    invvar[:, :, 0, 0] = 0
    folder = tmp_path / "patches"
    folder.mkdir()
    for kind, array in (("image", image), ("invvar", invvar)):
        np.save(folder / f"{kind}.npy", array)
    write_positions(folder)
    noise = NoiseModel(("g", "r"), (1.0, 1.0), (1.0, 1.0), np.ones((2, 1, 1)), np.ones((2, 5)))
    (tmp_path / "noise.json").write_text(json.dumps(noise.to_json()))
    return at(
        tmp_path / "one", TrainJob(folder, tmp_path / "noise.json", *[Path()] * 3, TINY, SHORT, softening=3.0)
    )


def write_positions(folder: Path) -> None:
    """The index of these patches, with the digests of the files as they are."""
    places = [(n, "0000p000", n, 0) for n in range(20)]
    table = Table(rows=places, names=("patch", "brick", "y", "x"))
    table.meta["sha256"] = {file.name: file_digest(file) for file in folder.glob("*.npy")}
    table.write(folder / "positions.ecsv", format="ascii.ecsv", overwrite=True)


def at(folder: Path, job: TrainJob) -> TrainJob:
    """The same job with its results in `folder`."""
    return replace(
        job, model=folder / "model", log=folder / "training.csv", tensorboard=folder / "tensorboard"
    )


def rows(job: TrainJob) -> list[dict[str, str]]:
    with job.log.open(newline="") as stream:
        return list(csv.DictReader(stream))


def weights(job: TrainJob) -> dict[str, torch.Tensor]:
    return load_file(job.model / "model.safetensors")


def assert_same(first: TrainJob, second: TrainJob, tolerance: float = 0) -> None:
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=tolerance, atol=tolerance)
    for one_row, two_row in zip(rows(first), rows(second), strict=True):
        for key in ("epoch", "step", "loss", "validation", "rate"):
            assert float(one_row[key]) == pytest.approx(float(two_row[key]), rel=tolerance or 1e-12)


@pytest.mark.parametrize("objective", ["identity", "recorrupted"])
@pytest.mark.parametrize("loss", ["l1", "l2", "flux"])
def test_loss_falls_and_a_model_and_its_curve_are_left(job: TrainJob, objective: str, loss: str) -> None:
    job = replace(job, settings=replace(SHORT, epochs=8, objective=objective, loss=loss), softening=2.0)
    train(job)
    curve = rows(job)
    assert [int(row["epoch"]) for row in curve] == list(range(1, 9))
    assert int(curve[-1]["step"]) == 8 * (16 // 4)
    assert float(curve[-1]["loss"]) < float(curve[0]["loss"])
    assert float(curve[-1]["validation"]) < float(curve[0]["validation"])
    _, description = load_model(job.model)
    assert description.stretch.softening == 2.0
    assert description.provenance["steps"] == 32
    where = {key: description.provenance[key] for key in ("device", "ranks", "precision", "torch")}
    assert where == {"device": "CPU", "ranks": 1, "precision": "float32", "torch": torch.__version__}
    assert list(job.tensorboard.glob("events*"))
    assert not (job.model / CHECKPOINT).exists()


def train_until(job: TrainJob, saves: int) -> None:
    """Let training die just after its `saves`-th checkpoint."""
    save, count = TrainState.save, iter(range(1, 10**6))

    def save_and_die(self: TrainState, path: Path, digest: str) -> None:
        save(self, path, digest)
        if next(count) == saves:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainState, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(job)


@pytest.mark.parametrize("saves", [2, 4, 7])
def test_a_training_that_died_goes_on_to_the_same_result(job: TrainJob, tmp_path: Path, saves: int) -> None:
    train(job)
    again = at(tmp_path / "two", job)
    train_until(again, saves)
    assert not (again.model / "model.json").exists()
    train(again)
    assert_same(job, again)


def test_a_checkpoint_of_other_settings_is_not_taken(
    job: TrainJob, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(job)
    again = at(tmp_path / "two", job)
    train_until(replace(again, settings=replace(SHORT, seed=1)), 3)
    with caplog.at_level(logging.INFO):
        train(again)
    assert "other settings" in caplog.text
    assert_same(job, again)


def start(job: TrainJob, *launcher: str) -> subprocess.Popen:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
    environment |= {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *(launcher or ("-c", SCRIPT)), job.to_json()]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_from_outside_it_goes_on_to_the_same_result(
    job: TrainJob, tmp_path: Path, number: signal.Signals
) -> None:
    long = replace(job, settings=replace(SHORT, epochs=60))
    checkpoint = long.model / CHECKPOINT
    with start(long) as process:
        while not checkpoint.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert ("stopped by SIGTERM" in said) == (number == signal.SIGTERM)
    assert checkpoint.exists()
    assert not (long.model / "model.json").exists()
    again = at(tmp_path / "two", long)
    calm = replace(SHORT, epochs=60, checkpoint_minutes=10.0)
    train(replace(long, settings=calm))
    train(replace(again, settings=calm))
    assert_same(long, again)


def test_two_ranks_agree_with_one(job: TrainJob, tmp_path: Path) -> None:
    train(job)
    two = at(tmp_path / "two", job)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with start(
        two, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)
    ) as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert_same(job, two, tolerance=1e-4)


def test_one_rank_that_fails_ends_all_with_its_error(job: TrainJob, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "from skydenoise.train import loop\n"
        "rate = loop.learning_rate\n"
        "def failing(step, steps, settings):\n"
        "    if step == 5 and os.environ['RANK'] == '1':\n"
        "        raise RuntimeError('this rank broke')\n"
        "    return rate(step, steps, settings)\n"
        "loop.learning_rate = failing\n"
        "loop.train(loop.TrainJob.from_json(sys.argv[1]))\n"
    )
    with start(
        job, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)
    ) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "this rank broke" in said
    assert not (job.model / "model.json").exists()


def test_wild_pixels_stop_it_with_one_line(job: TrainJob) -> None:
    path = job.patches / "image.npy"
    image = np.load(path)
    image[:, 0, 4, 4] = np.nan
    np.save(path, image)
    write_positions(job.patches)
    with pytest.raises(StepError, match=r"not finite at step \d+ of 12, learning rate .*; lower") as error:
        train(job)
    assert "\n" not in str(error.value)
    assert not (job.model / "model.json").exists()


@pytest.mark.parametrize(
    ("settings", "architecture", "match"),
    [
        (replace(SHORT, objective="identity"), replace(TINY, skips=True), "model.skips"),
        (replace(SHORT, batch_size=17), TINY, "train.batch_size: 17 is more than the 16 patches"),
        (SHORT, replace(TINY, levels=4), "patches.size: 8 is not a multiple"),
        (SHORT, replace(TINY, bands=3), "model.bands: 3, the patches have 2"),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_first_step(
    job: TrainJob, settings: TrainSettings, architecture: Architecture, match: str
) -> None:
    with pytest.raises(SettingsError, match=match):
        train(replace(job, settings=settings, architecture=architecture))
    assert not job.model.exists()


def test_a_job_survives_the_command_line(job: TrainJob) -> None:
    assert TrainJob.from_json(job.to_json()) == job


@pytest.mark.parametrize("loss", ["l1", "l2", "flux"])
def test_the_loss_is_one_graph_that_can_be_fused(job: TrainJob, loss: str) -> None:
    training = Training(replace(job, settings=replace(SHORT, loss=loss)), Ranks(0, 1, torch.device("cpu")))
    network = Network(TINY)
    patches, image, sigma = next(training.batches(0))
    pair = training.pair(patches, image, sigma, 0)
    as_one_graph = torch.compile(training.loss, backend="eager", fullgraph=True)  # raises at a break
    torch.testing.assert_close(as_one_graph(network, pair), training.loss(network, pair))


def test_learning_rate_rises_then_falls() -> None:
    settings = replace(SHORT, learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(step, 100, settings) for step in range(100)]
    assert np.argmax(rates) == 10
    assert max(rates) == 1
    assert np.all(np.diff(rates[:11]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert 0 < rates[-1] < 1e-3


def test_the_seed_alone_determines_the_first_weights_and_nothing_global_changes(job: TrainJob) -> None:
    ranks = Ranks(0, 1, torch.device("cpu"))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = initial_state(job, ranks)
    assert torch.equal(torch.rand(1), expected)
    second = initial_state(job, ranks)
    assert all(
        torch.equal(a, b) for a, b in zip(first.average.values(), second.average.values(), strict=True)
    )


def test_the_average_of_a_short_training_forgets_the_start() -> None:
    network = Network(TINY)
    state = TrainState(network, torch.optim.SGD(network.parameters()))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    for _ in range(60):
        state.update(0.0, 0.999)
    for value in state.average.values():
        torch.testing.assert_close(value, torch.ones_like(value), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, (0, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "SLURM_STEP_NUM_TASKS": "3"}, (0, 1)),
    ],
)
def test_one_process_needs_no_launcher(environment: dict[str, str], expected: tuple[int, int]) -> None:
    with join_ranks(environment) as ranks:
        assert (ranks.rank, ranks.world) == expected
        assert ranks.mean(torch.tensor(3.0)) == 3


def run_module(job: TrainJob, log: Path, *launcher: str) -> subprocess.Popen[str]:
    """The workflow's command, in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
    command = [sys.executable, *launcher, "-m", "skydenoise.train", job.to_json(), str(log)]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_for(text: str, log: Path, process: subprocess.Popen[str]) -> None:
    while not (log.exists() and text in log.read_text()):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)


def test_who_waited_for_the_orphan_of_a_killed_run_keeps_its_model(job: TrainJob, tmp_path: Path) -> None:
    long = replace(job, settings=replace(SHORT, epochs=60, checkpoint_minutes=10.0))
    log = tmp_path / "train.log"
    with run_module(long, log) as orphan:
        wait_for("training on", log, orphan)
        orphan.send_signal(signal.SIGSTOP)
        with run_module(long, log) as successor:
            wait_for(f"kill {orphan.pid}) still writes the same files: waiting for its end", log, successor)
            orphan.send_signal(signal.SIGCONT)
            assert (orphan.wait(60), successor.wait(60)) == (0, 0)
    said = log.read_text()
    assert said.count("training on") == 1
    assert "this very training has ended: its model is kept" in said
    assert len(rows(long)) == 60


def test_a_launcher_that_is_killed_leaves_no_rank_behind(job: TrainJob, tmp_path: Path) -> None:
    endless, log = replace(job, settings=replace(SHORT, epochs=10**6)), tmp_path / "train.log"
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    with run_module(endless, log, *launcher) as process:
        wait_for("training on 2 x cpu", log, process)
        ranks = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert len([rank for rank in ranks if "skydenoise.train" in rank.cmdline()]) == 2
        _, alive = psutil.wait_procs(ranks, timeout=30)
    assert alive == []
