"""Speed on a GPU: one table, and benchmarks/results/speed-gpu.json.

python -m benchmarks.speed.gpu            # full-size bricks, the first CUDA device
python -m benchmarks.speed.gpu --quick    # within 3 minutes
python -m benchmarks.speed.gpu --tiny     # on the CPU: does every part run? nothing is written
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.inputs import Inputs, make_inputs
from benchmarks.speed.jobs import pipeline, safety
from benchmarks.speed.limits import limits
from benchmarks.speed.prediction import parts, peers, tiles_at_once
from benchmarks.speed.ranks import ranks
from benchmarks.speed.scales import FULL, QUICK, TINY, Scale
from benchmarks.speed.table import keep, show, versions
from benchmarks.speed.training import ON_GPU, PAPER_PIXELS, loss_curves, training

ON_GPU_SCALE = replace(
    FULL,
    repetitions=2,
    chunks=(1, 16, 64),
    processes=(),
    batches=(16, 64),
    steps=20,
    peer_batches=(4, 16),
    own_batches=(64, 4, 16, 32, 128),
    matrix=8192,
    stream=4096,
)
DR8_PATCHES = 12_288 * 136
"""Patches of 256 x 256 x 3 that the paper's DR8 training sees."""


def dr8_training(inputs: Inputs, device: str) -> Iterator[dict[str, Any]]:
    """Rows of `training`, with minutes of the DR8 schedule at this rate, and the ratio to the paper's."""
    for row in training(inputs, device, ON_GPU):
        minutes = DR8_PATCHES / row["patches_per_s"] / 60 * (256 / inputs.scale.patch) ** 2
        ratio = row["mpixel_per_s"] * 1e6 / PAPER_PIXELS
        yield row | {"dr8_minutes": round(minutes, 1), "paper_ratio": round(ratio, 3)}


def precisions(inputs: Inputs, device: str) -> Iterator[dict[str, Any]]:
    """Loss curves of the default against float32."""
    yield from loss_curves(inputs, {name: ON_GPU[name] for name in ("bfloat16, fused", "float32")})


PARTS: dict[str, Callable[[Inputs, str], Iterable[dict[str, Any]]]] = {
    "limits": limits,
    "training": dr8_training,
    "tiles": tiles_at_once,
    "peers": peers,
    "pipeline": pipeline,
    "precisions": precisions,
    "parts": parts,
    "ranks": ranks,
    "safety": safety,
}


def measure(scale: Scale, chosen: list[str], device: str) -> Iterator[dict[str, Any]]:
    """Rows of the chosen parts on `device`."""
    yield versions() | {"device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), scale)
        for name in chosen:
            yield from PARTS[name](inputs, device)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed on a GPU, side by side with peers.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small bricks, within 3 minutes")
    size.add_argument("--tiny", action="store_true", help="on the CPU, to see that every part runs")
    parser.add_argument("--name", help="of the file in benchmarks/results")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these, in this order"
    )
    parser.add_argument("--repetitions", type=int, default=ON_GPU_SCALE.repetitions, help="of each candidate")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=ON_GPU_SCALE.batches, help="of the trainings"
    )
    arguments = parser.parse_args()
    if arguments.tiny:
        show(measure(TINY, arguments.parts, "cpu"))
        return
    if not torch.cuda.is_available():
        raise SystemExit(
            "speed: there is no GPU here, so its table is not yet measured (--tiny tries the code)"
        )
    scale = replace(ON_GPU_SCALE, repetitions=arguments.repetitions, batches=tuple(arguments.batches))
    if arguments.quick:
        scale = replace(scale, edge=QUICK.edge, chunks=(1, 2), processes=(), ranks=(), seeds=(0,))
    command = " ".join(["python -m benchmarks.speed.gpu", *sys.argv[1:]])
    name = arguments.name or f"speed-gpu{'-quick' * arguments.quick}"
    keep(name, command, measure(scale, arguments.parts, "cuda"))


if __name__ == "__main__":
    main()
