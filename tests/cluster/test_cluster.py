"""The workflow on a real Slurm: the whole of it, and what goes wrong on clusters."""

import contextlib
import csv
import subprocess

import numpy as np
import psutil
import pytest
import yaml

from skydenoise.paths import coadd_file
from skydenoise.train.checkpoint import CHECKPOINT

from .conftest import REPOSITORY, Folder, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]  # some machines are slow

MODEL = "results/test/model/model.safetensors"
TRAIN = (MODEL, "--configfile", "longer.yaml")


def training_log(folder: Folder) -> str:
    log = folder.path / "results/test/logs/train.log"
    return log.read_text() if log.exists() else ""


def until_checkpoint(folder: Folder) -> None:
    """Wait until a training could go on after its process was killed."""
    checkpoint = (folder.path / MODEL).with_name(CHECKPOINT)
    until(lambda: checkpoint.exists() or None, "the first checkpoint")


def losses(folder: Folder) -> np.ndarray:
    with (folder.path / "results/test/logs/training.csv").open() as lines:
        return np.array([(float(row["loss"]), float(row["validation"])) for row in csv.DictReader(lines)])


def first_step(folder: Folder) -> int:
    """Step at which the last attempt began; Snakemake removes the log of an attempt that failed."""
    line = next(line for line in training_log(folder).splitlines() if "training on" in line)
    return int(line.split("step ")[1].split()[0])


def processes_of(job: int) -> list[psutil.Process]:
    """All processes of a job."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") == str(job):
                found.append(process)
    return found


def watched(job: int) -> bool:
    """Whether Slurm still watches a process of a job; it would not launch the job again."""
    names = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return any(name.startswith(f"slurmstepd: [{job}.") for name in names)


def ranks_of(job: int) -> dict[int, psutil.Process]:
    """Training processes of a job by their rank."""
    found = {}
    for process in processes_of(job):
        with contextlib.suppress(psutil.Error):
            if "skydenoise.train" in process.cmdline()[:3]:
                found[int(process.environ()["SLURM_PROCID"])] = process
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


def test_the_whole_run(fresh: Folder) -> None:
    fresh.finish(fresh.start())
    root = fresh.path / "results/test"
    bricks = [line.split("\t") for line in (fresh.path / "config/bricks.tsv").read_text().splitlines()]
    denoised = [row[0] for row in bricks if row[2] == "yes"]
    for brick in denoised:
        for band in "grz":
            assert coadd_file(root, brick, "image", band).exists()
    assert len(list((root / "mosaic/both").glob("*.fits"))) == 6
    assert f"{len(denoised)} bricks denoised, 0 skipped" in fresh.words()
    jobs = fresh.jobs()
    assert {job.state for job in jobs} == {"COMPLETED"}
    for job in jobs:
        assert job.partition == ("gpu" if job.rule == "train" else "cpu")


def test_a_cancelled_job_leaves_a_checkpoint_is_submitted_again_and_goes_on(untrained: Folder) -> None:
    run = untrained.start(*TRAIN, "rarely.yaml")  # no checkpoint but that of SIGTERM
    first = untrained.running("train")
    until(lambda: "epoch" in training_log(untrained) or None, "the first epoch")
    subprocess.run(["scancel", str(first.number)], check=True)
    untrained.finish(run)
    mine = untrained.jobs("train")
    assert [job.state for job in mine] == ["CANCELLED", "COMPLETED"]
    assert first_step(untrained) > 0


def test_a_job_killed_for_memory_returns_with_more(untrained: Folder) -> None:
    run = untrained.start(*TRAIN, "--set-resources", "train:mem_mb=attempt*500")
    untrained.finish(run)
    mine = untrained.jobs("train")
    assert mine[0].state in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    assert mine[-1].state == "COMPLETED"
    assert [job.memory for job in mine] == [500 * (1 + k) for k in range(len(mine))]


def test_a_node_that_goes_down_loses_nothing_but_time(untrained: Folder) -> None:
    # a node of its own: other tests run beside this one
    run = untrained.start(*TRAIN, "--set-resources", "train:slurm_partition=fragile")
    job = untrained.running("train")
    until_checkpoint(untrained)
    node, update = job.nodes, ["scontrol", "update"]
    subprocess.run([*update, f"nodename={node}", "state=down", "reason=test"], check=True)
    for process in processes_of(job.number):  # this host lives on
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: None if watched(job.number) else True, "the end of what watches its processes")
    subprocess.run([*update, f"nodename={node}", "state=resume"], check=False)  # it may be back by itself
    until(lambda: untrained.jobs("train")[-1].state == "PENDING" or None, "the job in the queue again")
    subprocess.run([*update, f"jobid={job.number}", "starttime=now"], check=True)  # Slurm waits two minutes
    untrained.finish(run)
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
    (untrained.path / "results/test/logs/training.csv").unlink()
    run = untrained.start(*TRAIN, *set_resources(two_by_two()), "--set-threads", "train=2")
    job = untrained.running("train")
    where = until(lambda: places if len(places := nodes_of_ranks(job.number)) == 4 else None, "4 ranks")
    untrained.finish(run)
    assert where[0] == where[1] != where[2] == where[3]
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
    mine = untrained.jobs("train")
    assert [job.state for job in mine] == ["FAILED", "COMPLETED"]
    assert first_step(untrained) > 0


def test_after_kill_9_the_same_command_completes_and_trains_once(untrained: Folder) -> None:
    """The killed run's job goes on; the next run's waits for its end, and takes its model."""
    run = untrained.start(*TRAIN)
    orphan = untrained.running("train")
    training = until(lambda: ranks_of(orphan.number).get(0), "the training")
    until(lambda: "training on" in training_log(untrained) or None, "its first step")
    run.kill()
    run.wait()
    training.suspend()
    refused = untrained.snakemake(*TRAIN)
    assert refused.returncode == 1
    assert "Directory cannot be locked" in refused.stderr
    assert untrained.snakemake(*TRAIN, "--unlock").returncode == 0
    run = untrained.start(*TRAIN)
    until(lambda: f"(to end it: scancel {orphan.number})" in training_log(untrained) or None, "its waiting")
    training.resume()
    untrained.finish(run)
    assert [job.state for job in untrained.jobs("train")] == ["COMPLETED", "COMPLETED"]
    assert "this very training has ended: its model is kept" in training_log(untrained)
    assert training_log(untrained).count("training on") <= 1  # Snakemake may remove the log of the first


def test_other_commands_in_the_folder_of_a_living_run_do_it_no_harm(untrained: Folder) -> None:
    run = untrained.start(*TRAIN)
    untrained.running("train")
    refused = untrained.snakemake(*TRAIN)
    assert refused.returncode == 1
    assert "Directory cannot be locked" in refused.stderr
    assert untrained.snakemake(*TRAIN, "--summary").returncode == 0
    assert untrained.snakemake(*TRAIN, "--dry-run").returncode == 0
    untrained.finish(run)
    assert [job.state for job in untrained.jobs("train")] == ["COMPLETED"]
