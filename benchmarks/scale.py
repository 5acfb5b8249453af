"""What a whole survey takes: planning it, core-hours, bytes and files, and the time on clusters.

    python -m benchmarks.scale --plan 100 10000 100000 350000   # dry runs of so many bricks
    python -m benchmarks.scale --run results/eight              # bytes, files and seconds of a finished run
    python -m benchmarks.scale --brick-seconds 14.2             # all tables; what was measured before is kept

A dry run has a table of made-up names in the survey's pattern, all to be denoised and 30 to train on; nothing
is fetched. Clusters are simulated (`benchmarks.schedule`), with jobs as the default configuration and
profiles/slurm make them. A brick takes `--brick-seconds` of one core, times a ratio drawn from those of the
run's bricks to their mean.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import yaml

from benchmarks.machine import REPOSITORY, RESULTS, write_results
from benchmarks.schedule import Cluster, Schedule, simulate
from skydenoise.io.manifest import read_manifest
from skydenoise.survey.bricks_table import chunks, write_bricks_table

PARTS = ("Snakefile", "workflow", "config", "src", "profiles", "envs")
TRAINING = 30
SURVEY, FEW = 350_000, 10_000
EDGE, CORES = 3600, 32
NODES, SEEDS, CHUNKS = (10, 100, 1000), range(3), (32, 64, 128, 256, 512)

Row = dict[str, Any]


def brick_names(count: int) -> list[str]:
    """Make names in the survey's pattern, spread over the sky: RRRr[pm]DDd."""
    names = (f"{ra:04d}{sign}{dec:03d}" for dec in range(900) for sign in "pm" for ra in range(0, 3600, 5))
    return [name for name, _ in zip(names, range(count), strict=False)]


def dry_run(bricks: int) -> Row:
    """Seconds (wall, processor), peak memory and planned jobs of `snakemake -n` for so many bricks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in PARTS:
            (folder / part).symlink_to(REPOSITORY / part)
        names = brick_names(bricks)
        write_bricks_table(folder / "bricks.tsv", names, names[:TRAINING], names)
        command = ["snakemake", "-n", "--quiet", "rules", "--config", "bricks=bricks.tsv"]
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        with (folder / "words").open("w+") as words:
            start = time.perf_counter()
            run = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=words, stderr=subprocess.STDOUT
            )
            _, status, usage = os.wait4(run.pid, 0)
            seconds = time.perf_counter() - start
            run.returncode = os.waitstatus_to_exitcode(status)
            words.seek(0)
            said = words.read()
    if run.returncode:
        raise SystemExit(f"scale: the dry run of {bricks} bricks failed:\n{said[-2000:]}")
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", said, re.MULTILINE)}
    return {
        "bricks": bricks,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "MB": round(usage.ru_maxrss * 1024 / 1e6),
        "jobs": jobs.get("total", 0),
    }


def measured_run(run: Path) -> Row:
    """Bytes (by area, of 3600 x 3600 pixels) and files of a brick, and seconds of each over the mean."""
    cache = run / "raw" if (run / "raw").exists() else run.parents[1] / "raw"
    bricks = [folder.relative_to(run / "coadd") for folder in (run / "coadd").glob("*/*")]
    flags = [next((run / "coadd" / brick).glob("*-flags.fits.fz")) for brick in bricks]
    headers = [fitsio.read_header(file, 1) for file in flags]
    share = len(bricks) * EDGE**2 / sum(header["ZNAXIS1"] * header["ZNAXIS2"] for header in headers)
    found: Row = {}
    for what, root in (("in", cache), ("out", run / "coadd")):
        files = [file for brick in bricks for file in (root / brick).iterdir()]
        found[f"MB_{what}"] = round(share * sum(file.stat().st_size for file in files) / len(bricks) / 1e6, 1)
        found[f"files_{what}"] = round(len(files) / len(bricks))
    seconds = [entry.seconds for file in (run / "predict").glob("*.tsv") for entry in read_manifest(file)]
    return found | {"seconds_over_mean": np.round(seconds / np.mean(seconds), 3).tolist()}


def default_chunk() -> int:
    """`bricks_per_job` of the configuration."""
    schema = yaml.safe_load((REPOSITORY / "src/skydenoise/config.schema.yaml").read_text(encoding="utf-8"))
    return int(schema["properties"]["bricks_per_job"]["default"])


def cluster(nodes: int, enough: bool) -> Cluster:
    """So many nodes, with the profile's jobs; enough : as many in the queue as keep the nodes busy."""
    profile = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    threads, look = profile["set-threads"]["predict"], profile["slurm-init-seconds-before-status-checks"]
    jobs = max(profile["jobs"], 2 * nodes * CORES // threads) if enough else profile["jobs"]
    return Cluster(nodes, CORES, threads, jobs, look)


def schedules(
    bricks: int, size: int, on: Cluster, brick_seconds: float, spread: list[float]
) -> list[Schedule]:
    """Runs of chunks of at most `size` bricks, one for each seed."""
    sizes = [len(names) for names in chunks(brick_names(bricks), size).values()]
    found = []
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        times = brick_seconds * generator.choice(spread, bricks)
        found.append(simulate(np.split(times, np.cumsum(sizes)[:-1]), on, generator))
    return found


def over_seeds(runs: list[Schedule]) -> Row:
    """Means, and the spread of the ratio."""
    ratios = [run.wall / run.ideal for run in runs]
    return {
        "hours": round(float(np.mean([run.wall for run in runs])) / 3600, 2),
        "ideal_hours": round(float(np.mean([run.ideal for run in runs])) / 3600, 3),
        "ratio": round(float(np.mean(ratios)), 2),
        "ratio_spread": round(float(np.std(ratios, ddof=1)), 2),
        "core_hours": round(float(np.mean([run.allocated for run in runs])) / 3600),
    }


def clusters(brick_seconds: float, spread: list[float]) -> Iterator[Row]:
    """Ten thousand bricks and the survey on each cluster, with the profile's jobs in the queue and more."""
    for bricks in (FEW, SURVEY):
        for on in dict.fromkeys(cluster(nodes, enough) for nodes in NODES for enough in (False, True)):
            runs = schedules(bricks, default_chunk(), on, brick_seconds, spread)
            yield {"bricks": bricks, "nodes": on.nodes, "jobs_in_queue": on.jobs} | over_seeds(runs)


def sizes_of_chunks(brick_seconds: float, spread: list[float]) -> Iterator[Row]:
    """The survey's time over the ideal by the size of chunks, with enough jobs in the queue."""
    for size in CHUNKS:
        found = [
            over_seeds(schedules(SURVEY, size, cluster(nodes, True), brick_seconds, spread)[:1])
            for nodes in NODES
        ]
        ratios = {f"{nodes}_nodes": each["ratio"] for nodes, each in zip(NODES, found, strict=True)}
        yield {"bricks_per_job": size} | ratios | {"core_hours": found[0]["core_hours"]}


def survey(brick: Row, brick_seconds: float, allocated: float) -> Iterator[Row]:
    """What the survey takes for each brick, and in all; allocated : core-hours of the jobs of prediction."""
    jobs = len(chunks(brick_names(SURVEY), default_chunk()))
    work = round(SURVEY * brick_seconds / 3600)
    yield {"what": "prediction, core-hours", "brick": round(brick_seconds / 3600, 4), "survey": work}
    yield {"what": "its jobs, with start, idle cores and lost work, core-hours", "survey": allocated}
    for way in ("in", "out"):
        size, files = brick[f"MB_{way}"], brick[f"files_{way}"]
        yield {"what": f"GB {way}", "brick": size / 1000, "survey": round(SURVEY * size / 1000)}
        yield {"what": f"files {way}", "brick": files, "survey": SURVEY * files}
    inodes = brick["files_in"] + brick["files_out"] + 2  # two folders
    of_jobs = 2 * 3 * jobs  # manifest, log and benchmark of a chunk's fetch and predict
    yield {"what": "inodes", "brick": inodes, "survey": SURVEY * inodes + of_jobs}


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [list(rows[0]), *([f"{each.get(key, '')}" for key in rows[0]] for each in rows)]
    head, *rest = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *rest, ""])


def main() -> None:
    """Measure, print tables, and write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="What a survey takes.")
    add = parser.add_argument
    add("--plan", type=int, nargs="+", default=[], help="numbers of bricks for dry runs")
    add("--run", type=Path, help="folder of a finished run")
    add("--brick-seconds", type=float, default=14.2, help="core-seconds of a brick of 3600 x 3600 x 3 pixels")
    options = parser.parse_args()
    kept = RESULTS / "scale.json"
    content = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    content = {key: content[key] for key in ("plan", "brick") if key in content}
    if options.plan:
        content["plan"] = [dry_run(bricks) for bricks in options.plan]
    if options.run:
        content["brick"] = measured_run(options.run)
    content["brick_seconds"], brick = options.brick_seconds, content["brick"]
    timing = options.brick_seconds, brick["seconds_over_mean"]
    content["clusters"] = list(clusters(*timing))
    content["chunks"] = list(sizes_of_chunks(*timing))
    whole = next(row["core_hours"] for row in content["clusters"] if row["bricks"] == SURVEY)
    content["survey"] = list(survey(brick, options.brick_seconds, whole))
    for name in ("plan", "survey", "clusters", "chunks"):
        if name in content:
            print(f"**{name}**\n\n{table(content[name])}")
    print(f"written to {write_results('scale', 'benchmarks.scale', content).relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
