"""Speed on a GPU: one table, and benchmarks/results/speed-gpu.json.

python -m benchmarks.speed.gpu            # full-size bricks, the first CUDA device
python -m benchmarks.speed.gpu --quick    # within 3 minutes
python -m benchmarks.speed.gpu --tiny     # on the CPU: does every part run? nothing is written
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.inputs import make_inputs
from benchmarks.speed.limits import limits
from benchmarks.speed.prediction import parts, peers, pipeline, safety
from benchmarks.speed.scales import FULL, QUICK, TINY, Scale
from benchmarks.speed.table import keep, show, versions
from benchmarks.speed.training import PAPER_PIXELS, training

BATCHES = (16, 64, 256)
DR8_PATCHES = 12_288 * 136
"""Patches of 256 x 256 x 3 that the paper's DR8 training sees."""


def measure(scale: Scale, device: str) -> Iterator[dict[str, Any]]:
    """Rows of every part on `device`."""
    yield versions() | {"device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), scale)
        for part in (limits, parts, peers, pipeline, safety):
            yield from part(inputs, device)
        for row in training(inputs, device, ("float32", "bfloat16")):
            yield row | against_paper(row, scale.patch)


def against_paper(row: dict[str, Any], patch: int) -> dict[str, float]:
    """Minutes of the paper's DR8 schedule at this rate, and how many times the paper's own rate it is."""
    minutes = DR8_PATCHES / row["patches_per_s"] / 60 * (256 / patch) ** 2
    return {
        "dr8_minutes": round(minutes, 1),
        "paper_ratio": round(row["mpixel_per_s"] * 1e6 / PAPER_PIXELS, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed on a GPU, side by side with peers.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small bricks, within 3 minutes")
    size.add_argument("--tiny", action="store_true", help="on the CPU, to see that every part runs")
    arguments = parser.parse_args()
    if not arguments.tiny and not torch.cuda.is_available():
        raise SystemExit(
            "speed: there is no GPU here, so its table is not yet measured (--tiny tries the code)"
        )
    if arguments.tiny:
        show(measure(TINY, "cpu"))
        return
    scale = replace(QUICK if arguments.quick else FULL, batches=BATCHES[:2] if arguments.quick else BATCHES)
    rows = []
    for row in measure(scale, "cuda"):
        rows.append(row)
        show([row])
    keep(f"speed-gpu{'-quick' * arguments.quick}", "python -m benchmarks.speed.gpu", rows)


if __name__ == "__main__":
    main()
