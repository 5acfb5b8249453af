"""How much memory this job has: pixels that do not fit would end it, and all its other bricks with it."""

from __future__ import annotations

import resource
from functools import cache
from pathlib import Path

import psutil

BRICK_BYTES = 47
"""For each pixel of each band while a brick is denoised: 1.8 GB at 3 x 3600 x 3600 pixels."""

OWN_GROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
"""Limits of containers and of Slurm's jobs: those of any folder above a process's own hold, too."""


@cache
def job_memory() -> float:
    """Bytes that this process may have: of the machine, or less by its control group or `ulimit -v`."""
    limits = [float(psutil.virtual_memory().total)]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits += [float(soft)] if soft != resource.RLIM_INFINITY else []
    for line in OWN_GROUP.read_text().splitlines() if OWN_GROUP.exists() else ():
        _, kinds, own = line.split(":", 2)
        if kinds in ("", "memory"):
            name = "memory.limit_in_bytes" if kinds else "memory.max"
            folder = GROUPS / kinds / own.lstrip("/")
            limits += [limit for above in (folder, *folder.parents) for limit in _limit(above / name)]
    return min(limits)


def _limit(path: Path) -> list[float]:
    try:
        return [float(path.read_text())]
    except (OSError, ValueError):  # no such file, or "max"
        return []


def too_large(pixels: int) -> str:
    """Why a brick of so many pixels, over all bands, does not fit into the memory; empty if it does."""
    needed, there = BRICK_BYTES * pixels, job_memory()
    text = f"{needed / 1e9:.3g} GB are needed for its pixels, the job has {there / 1e9:.3g}"
    return text if needed > there else ""
