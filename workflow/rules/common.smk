"""What the rules share: the run's checked configuration, names of files, memory and time that grow."""

import os
from pathlib import Path

try:
    from skydenoise import __version__ as VERSION
    from skydenoise.config import plain
    from skydenoise.errors import SettingsError, StepError
    from skydenoise.image_table import files_of, versions_of
    from skydenoise.paths import truth_catalogue
    from skydenoise.run import read_run
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"{error}: install the package beside Snakemake, `pip install -e .` in the workflow's clone"
    ) from None

CPU = "../envs/cpu.yaml"
GPU = "../envs/gpu.yaml"
# for --sdm conda: where the environments find the package (envs/cpu.post-deploy.sh)
os.environ.update(
    SKYDENOISE_CHECKOUT=str(
        Path(workflow.source_path("../../pyproject.toml")).resolve().parent
    )
)
# Threads of what uses all cores; Snakemake cuts them to --cores, and a cluster's profile sets its own number.
WHOLE_MACHINE = 1024

try:
    RUN = read_run(config)
except (SettingsError, StepError) as error:
    raise WorkflowError(f"config: {error}") from None

RESULTS = str(RUN.root)
CACHE = str(RUN.cache)
# the model: trained, or taken from the folder `pretrained`
MODEL = {
    "weights": f"{RESULTS}/model/model.safetensors",
    "description": f"{RESULTS}/model/model.json",
}
# the training patches
PATCHES = {
    "positions": f"{RESULTS}/patches/positions.ecsv",
    "images": f"{RESULTS}/patches/image.npy",
    "invvars": f"{RESULTS}/patches/invvar.npy",
}
# What `all` asks for; every file of rules adds its own.
PRODUCTS = []


def fetched(purpose):
    """Manifests of all chunks of the bricks for train or for predict."""
    return [f"{RESULTS}/fetch/{purpose}-{chunk}.tsv" for chunk in RUN.chunks[purpose]]


def predicted(bricks):
    """Manifests of the chunks that hold these bricks."""
    wanted = set(bricks)
    return [
        f"{RESULTS}/predict/{chunk}.tsv"
        for chunk, members in RUN.chunks["predict"].items()
        if not wanted.isdisjoint(members)
    ]


def manifest_chains():
    """By purpose, manifests of each chunk, one per step: what has to be forgotten together."""
    last = {
        "train": f"{RESULTS}/patches/bricks.tsv",
        "predict": f"{RESULTS}/predict/{{}}.tsv",
    }
    return {
        purpose: [
            [f"{RESULTS}/fetch/{purpose}-{chunk}.tsv", manifest.format(chunk)]
            for chunk in RUN.chunks[purpose]
        ]
        for purpose, manifest in last.items()
    }


def truths(bricks):
    """What a step that uses these bricks has to wait for, if they are simulated."""
    if RUN.source != "simulation":
        return []
    return [str(truth_catalogue(RUN.root, brick)) for brick in bricks]


def launcher(wildcards, threads, resources):
    """How a training starts: as one process, as `ranks` of them here, or, if the profile sets `mpi`, as `tasks`.

    Without the number of tasks srun starts one rank, without that of cores each has one. A rank that dies ends
    the others.
    """
    if "mpi" in resources.keys():
        step = f"-n {resources.tasks} --cpus-per-task={threads}"
        return f"{resources.mpi} --kill-on-bad-exit=1 {step} python"
    if resources.get("ranks", 1) == 1:
        return "python"
    return f"torchrun --standalone --nproc-per-node={resources.ranks}"


def growing(amount):
    """`amount` of memory or time in the first attempt, twice as much in the second, and so on."""
    return lambda wildcards, attempt: attempt * amount


def for_each_thread(amount):
    """`amount` of memory for each thread, growing."""
    return lambda wildcards, threads, attempt: attempt * threads * amount


onsuccess:
    for summary in (RUN.root / "evaluation/overview.rst", RUN.root / "summary.txt"):
        if summary.exists():
            print(summary.read_text())
