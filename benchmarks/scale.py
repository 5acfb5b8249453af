"""Time and memory of a dry run against the number of bricks.

    python -m benchmarks.scale 100 10000 100000 350000

Makes a table of that many bricks, all of them to be denoised and 30 of them to train on, and asks Snakemake
what it would do. Nothing is fetched. The table is of made-up names in the survey's pattern.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import write_results
from skydenoise.survey.bricks_table import write_bricks_table

REPOSITORY = Path(__file__).parents[1]
PARTS = ("Snakefile", "workflow", "config", "src", "profiles", "envs")
TRAINING = 30


def brick_names(count: int) -> list[str]:
    """Make names in the survey's pattern, spread over the sky: RRRr[pm]DDd."""
    names = (f"{ra:04d}{sign}{dec:03d}" for dec in range(900) for sign in "pm" for ra in range(0, 3600, 5))
    return [name for name, _ in zip(names, range(count), strict=False)]


def dry_run(bricks: int) -> dict[str, Any]:
    """Seconds, peak memory (MB) and planned jobs of `snakemake -n` for so many bricks."""
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
        "megabytes": round(usage.ru_maxrss * 1024 / 1e6),
        "jobs": jobs.get("total", 0),
    }


def main() -> None:
    """Measure, print a table, and write it."""
    parser = argparse.ArgumentParser(description="Time and memory of a dry run against the number of bricks.")
    parser.add_argument("bricks", type=int, nargs="+", help="numbers of bricks")
    sizes = parser.parse_args().bricks
    rows = []
    print(f"{'bricks':>8} {'seconds':>8} {'MB':>6} {'jobs':>7}")
    for size in sizes:
        rows.append(row := dry_run(size))
        print(f"{row['bricks']:>8} {row['seconds']:>8} {row['megabytes']:>6} {row['jobs']:>7}", flush=True)
    command = " ".join(["python -m benchmarks.scale", *map(str, sizes)])
    print(f"written to {write_results('scale', command, rows).relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
