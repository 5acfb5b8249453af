"""The workflow on a real Slurm: the whole of it, and what goes wrong on clusters."""

import contextlib
import csv
import re
import subprocess

import numpy as np
import psutil
import pytest
import yaml

from skydenoise.earlier_run import OWNER
from skydenoise.paths import coadd_file
from skydenoise.train.checkpoint import CHECKPOINT

from .conftest import ENVIRONMENT, REPOSITORY, Folder, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]  # some machines are slow

MODEL = "results/tiny/model/model.safetensors"
TRAIN = (MODEL, "--configfile", "tiny.yaml")
GPU_RULE = re.compile("(train|calibrate|predict|evaluate_denoiser)(_wildcards.*)?$")


def training_log(folder: Folder) -> str:
    log = folder.path / "results/tiny/logs/train.log"
    return log.read_text() if log.exists() else ""


def until_checkpoint(folder: Folder) -> None:
    """Wait until a training could go on after its process was killed."""
    checkpoint = (folder.path / MODEL).with_name(CHECKPOINT)
    until(lambda: checkpoint.exists() or None, "the first checkpoint")


def losses(folder: Folder) -> np.ndarray:
    with (folder.path / "results/tiny/logs/training.csv").open() as lines:
        return np.array([(float(row["loss"]), float(row["validation"])) for row in csv.DictReader(lines)])


def first_step(folder: Folder) -> int:
    """Step at which the last attempt began; Snakemake removes the log of an attempt that failed."""
    line = next(line for line in training_log(folder).splitlines() if "training on" in line)
    return int(line.split("step ")[1].split()[0])


def ranks_of(job: int) -> dict[int, psutil.Process]:
    """Training processes of a job by their rank."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            place = process.environ()
            if place.get("SLURM_JOB_ID") == str(job) and "workflow/scripts/train.py" in process.cmdline()[:2]:
                found[int(place["SLURM_PROCID"])] = process
    return found


def nodes_of_ranks(job: int) -> dict[int, str]:
    """Node of each rank of a job, of those that have begun."""
    return {rank: process.environ()["SLURMD_NODENAME"] for rank, process in ranks_of(job).items()}


def two_by_two() -> dict[str, object]:
    """The profile's example of training on 2 GPUs of each of 2 nodes."""
    lines = (REPOSITORY / "profiles/slurm/config.yaml").read_text().splitlines()
    example = next(line for line in lines if "mpi: srun" in line)
    return yaml.safe_load(example.strip(" #"))["train"]


def set_resources(resources: dict[str, object]) -> list[str]:
    return ["--set-resources", *[f"train:{name}={value}" for name, value in resources.items()]]


def test_the_whole_demo_survey(demo: Folder) -> None:
    folder = demo
    (folder.path / "short.yaml").write_text("patches: {count: 512}\ntrain: {epochs: 2}\n")
    folder.finish(folder.start("--configfile", "config/demo.yaml", "short.yaml"))
    root = folder.path / "results/demo"
    bricks = [line.split("\t") for line in (REPOSITORY / "config/demo_bricks.tsv").read_text().splitlines()]
    denoised = [row[0] for row in bricks if row[2] == "yes"]
    for brick in denoised:
        for band in "grz":
            assert coadd_file(root, brick, "image", band).exists()
    assert len(list((root / "mosaic/pair").glob("*.fits"))) == 6
    assert f"{len(denoised)} bricks denoised, 0 skipped" in folder.words()
    jobs = folder.jobs()
    assert {job.state for job in jobs} == {"COMPLETED"}
    for job in jobs:
        assert job.partition == ("gpu" if GPU_RULE.match(job.rule) else "cpu")


def test_a_cancelled_job_leaves_a_checkpoint_is_submitted_again_and_goes_on(untrained: Folder) -> None:
    run = untrained.start(*TRAIN, "rarely.yaml")  # no checkpoint but that of SIGTERM
    first = untrained.running("train")
    until(lambda: "epoch" in training_log(untrained) or None, "the first epoch")
    subprocess.run(["scancel", str(first.number)], check=True)
    untrained.finish(run)
    mine = [job for job in untrained.jobs("train") if job.number >= first.number]
    assert [job.state for job in mine] == ["CANCELLED", "COMPLETED"]
    assert first_step(untrained) > 0


def test_a_job_killed_for_memory_returns_with_more(untrained: Folder) -> None:
    last = max((job.number for job in untrained.jobs()), default=0)
    run = untrained.start(*TRAIN, "--set-resources", "train:mem_mb=attempt*500")
    untrained.finish(run)
    mine = [job for job in untrained.jobs("train") if job.number > last]
    assert mine[0].state in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    assert mine[-1].state == "COMPLETED"
    assert [job.memory for job in mine] == [500 * (1 + k) for k in range(len(mine))]


def test_a_node_that_goes_down_loses_nothing_but_time(untrained: Folder) -> None:
    run = untrained.start(*TRAIN)
    job = untrained.running("train")
    until_checkpoint(untrained)
    node = ["scontrol", "update", f"nodename={job.nodes}"]
    subprocess.run([*node, "state=down", "reason=test"], check=True)
    subprocess.run([*node, "state=resume"], check=False)  # it may have come back by itself
    untrained.finish(run)  # Slurm waits two minutes before it starts such a job again
    assert [other for other in untrained.jobs("train") if other.number > job.number] == []
    shown = ["scontrol", "show", "job", str(job.number)]
    told = subprocess.run(shown, check=True, text=True, capture_output=True).stdout
    assert "Restarts=1" in told
    assert "JobState=COMPLETED" in told
    assert first_step(untrained) > 0


def test_two_ranks_on_each_of_two_nodes_learn_what_one_does(untrained: Folder) -> None:
    untrained.finish(untrained.start(*TRAIN))
    alone = losses(untrained)
    (untrained.path / MODEL).unlink()
    (untrained.path / "results/tiny/logs/training.csv").unlink()
    run = untrained.start(*TRAIN, *set_resources(two_by_two()), "--set-threads", "train=2")
    job = untrained.running("train")
    where = until(lambda: places if len(places := nodes_of_ranks(job.number)) == 4 else None, "4 ranks")
    untrained.finish(run)
    assert where == {0: "g1", 1: "g1", 2: "g2", 3: "g2"}
    assert "training on 4 x cpu" in training_log(untrained)
    # the same batches with the same noise: what differs is the order of the sums
    np.testing.assert_allclose(losses(untrained)[:5], alone[:5], rtol=1e-3)
    np.testing.assert_allclose(losses(untrained)[-1], alone[-1], rtol=0.02)


def test_a_rank_that_dies_ends_the_job_and_the_next_goes_on(untrained: Folder) -> None:
    settings = {"slurm_partition": "gpu", "mpi": "srun", "nodes": 2, "tasks": 2}
    run = untrained.start(*TRAIN, *set_resources(settings), "--set-threads", "train=2")
    first = untrained.running("train")
    until_checkpoint(untrained)
    ranks_of(first.number)[1].kill()
    untrained.finish(run)
    mine = [job for job in untrained.jobs("train") if job.number >= first.number]
    assert [job.state for job in mine] == ["FAILED", "COMPLETED"]
    assert first_step(untrained) > 0


def test_after_kill_9_the_same_command_completes_and_trains_once(untrained: Folder) -> None:
    run = untrained.start(*TRAIN)
    first = untrained.running("train")
    run.kill()
    run.wait()
    untrained.finish(untrained.start(*TRAIN))
    assert "an earlier run was killed; waiting for its Slurm jobs" in untrained.words()
    mine = [job for job in untrained.jobs("train") if job.number >= first.number]
    assert [job.state for job in mine] == ["COMPLETED"]
    assert first_step(untrained) == 0
    assert (untrained.path / MODEL).exists()


def test_other_commands_in_the_folder_of_a_living_run_do_it_no_harm(untrained: Folder) -> None:
    run = untrained.start(*TRAIN)
    job = untrained.running("train")
    note, lock = (untrained.path / ".snakemake" / name for name in (OWNER, "locks"))
    before = note.read_text()
    for arguments, code in {
        (*TRAIN,): 1,
        (*TRAIN, "--config", "run=other"): 1,
        (*TRAIN, "--summary"): 0,
    }.items():
        command = ["snakemake", "--profile", "slurm", *arguments]
        done = subprocess.run(command, cwd=untrained.path, env=ENVIRONMENT, text=True, capture_output=True)
        assert done.returncode == code, done.stderr
        told = [line for line in done.stderr.splitlines() if "another run works in this folder" in line]
        assert len(told) == code
        assert note.read_text() == before
        assert any(lock.iterdir())
    untrained.finish(run)
    assert [other.state for other in untrained.jobs("train") if other.number >= job.number] == ["COMPLETED"]
    until(lambda: None if note.exists() else True, "the end of the note", 10)
