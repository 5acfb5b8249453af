"""Speed on a CPU: one table, and benchmarks/results/speed-cpu.json.

    python -m benchmarks.speed.cpu            # full-size bricks: about an hour on 2 cores
    python -m benchmarks.speed.cpu --quick    # about 3 minutes, benchmarks/results/speed-cpu-quick.json

Peers that are not installed (pip install '.[speed]') are left out.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.speed.inputs import Inputs, make_inputs
from benchmarks.speed.jobs import pipeline, safety
from benchmarks.speed.kernels import kernels
from benchmarks.speed.limits import limits
from benchmarks.speed.overhead import overhead
from benchmarks.speed.prediction import parts, peers, tiles_at_once
from benchmarks.speed.ranks import ranks
from benchmarks.speed.scales import FULL, QUICK, Scale
from benchmarks.speed.table import keep, versions
from benchmarks.speed.training import precisions, training

PARTS: dict[str, Callable[[Inputs], Iterable[dict[str, Any]]]] = {
    "limits": limits,
    "parts": parts,
    "tiles": tiles_at_once,
    "peers": peers,
    "pipeline": pipeline,
    "safety": safety,
    "kernels": kernels,
    "training": training,
    "precisions": precisions,
    "ranks": ranks,
    "overhead": overhead,
}


def measure(scale: Scale, chosen: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of the chosen parts."""
    yield versions()
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), scale)
        for name in chosen:
            yield from PARTS[name](inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed on a CPU, side by side with peers.")
    parser.add_argument("--quick", action="store_true", help="small bricks, about 3 minutes")
    parser.add_argument("--edge", type=int, help="pixels along a brick's edge")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--chunks", type=int, nargs="+", help="numbers of bricks in one run of the pipeline")
    parser.add_argument("--name", help="of the file in benchmarks/results")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    scale = replace(
        scale,
        edge=arguments.edge or scale.edge,
        repetitions=arguments.repetitions or scale.repetitions,
        chunks=tuple(arguments.chunks or scale.chunks),
    )
    command = " ".join(["python -m benchmarks.speed.cpu", *sys.argv[1:]])
    name = arguments.name or f"speed-cpu{'-quick' * arguments.quick}"
    keep(name, command, measure(scale, arguments.parts))


if __name__ == "__main__":
    main()
