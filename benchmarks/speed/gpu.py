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
from benchmarks.speed.training import ON_GPU, PAPER_PIXELS, loss_curves, training

ON_GPU_SCALE = replace(
    FULL,
    repetitions=2,
    chunks=(1, 2),
    ranks=(2, 8),
    batches=(16, 64),
    steps=20,
    peer_batches=(4, 16),
    matrix=8192,
    stream=4096,
)
CURVES = ("bfloat16, fused", "float32")
DR8_PATCHES = 12_288 * 136
"""Patches of 256 x 256 x 3 that the paper's DR8 training sees."""


def measure(scale: Scale, device: str) -> Iterator[dict[str, Any]]:
    """Rows of every part on `device`."""
    yield versions() | {"device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), scale)
        yield from limits(inputs, device)
        for row in training(inputs, device, ON_GPU):
            yield row | against_paper(row, scale.patch)
        for part in (peers, pipeline):
            yield from part(inputs, device)
        yield from loss_curves(inputs, device, {name: ON_GPU[name] for name in CURVES})
        for part in (parts, safety):
            yield from part(inputs, device)


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
    scale = replace(ON_GPU_SCALE, edge=QUICK.edge, ranks=()) if arguments.quick else ON_GPU_SCALE
    rows = []
    try:
        for row in measure(scale, "cuda"):
            rows.append(row)
            show([row])
    finally:  # time on a GPU is dear: what was measured before an interrupt is kept
        keep(f"speed-gpu{'-quick' * arguments.quick}", "python -m benchmarks.speed.gpu", rows)


if __name__ == "__main__":
    main()
