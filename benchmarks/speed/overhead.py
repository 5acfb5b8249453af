"""What the workflow costs beside the pixels: planning, and a job's start until its first pixel."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.scale import dry_run
from benchmarks.speed.inputs import Inputs

START = """
import json, sys, time
start = time.perf_counter()
from pathlib import Path
from skydenoise.io import read_brick
from skydenoise.predict import load_denoiser
from skydenoise.config import PredictSettings
imports = time.perf_counter() - start
model, cache, name, tile, overlap = sys.argv[1:]
denoiser = load_denoiser(Path(model), PredictSettings(tile=int(tile), overlap=int(overlap)), "cpu")
loaded = time.perf_counter() - start - imports
read_brick(Path(cache), name, denoiser.description.bands)
first = time.perf_counter() - start - imports - loaded
print(json.dumps({"imports": imports, "model": loaded, "first brick": first}))
"""


def overhead(inputs: Inputs) -> list[dict[str, Any]]:
    """Seconds of a dry run by bricks, and of a job's start.

    The memory of a dry run is `benchmarks.scale`'s to measure: a child of this large process counts as large.
    """
    rows: list[dict[str, Any]] = []
    for bricks in inputs.scale.dry_runs:
        found = dry_run(bricks)
        rows.append(
            {
                "part": "workflow, dry run",
                "what": f"{bricks} bricks",
                "seconds": found["seconds"],
            }
        )
    scale = inputs.scale
    arguments = [inputs.model, inputs.cache, inputs.names[0], scale.tile, scale.overlap]
    command = [sys.executable, "-c", START, *map(str, arguments)]
    starts = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        for _ in range(scale.repetitions)
    ]
    for key in starts[0]:
        values = [start[key] for start in starts]
        rows.append(
            {
                "part": "start of a job",
                "what": key,
                "seconds": round(float(np.median(values)), 2),
                "spread": round((max(values) - min(values)) / 2 / float(np.median(values)), 2),
            }
        )
    return rows
