"""One table: a brick end to end, its parts, tiles beside peers, training; seconds and memory."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.machine import write_results
from benchmarks.speed.bricks import end_to_end, parts
from benchmarks.speed.inputs import FULL, FULL_ON_GPU, QUICK, Inputs, make_inputs
from benchmarks.speed.peers import tiles
from benchmarks.speed.timing import Row
from benchmarks.speed.training import training
from skydenoise.network.device import cuda_usable

PARTS: dict[str, Callable[[Inputs], Iterator[Row]]] = {
    "bricks": end_to_end,
    "parts": parts,
    "tiles": tiles,
    "training": training,
}
COLUMNS = ("seconds", "cpu_seconds", "memory_mib", "gpu_mib", "times")


def as_line(row: Row) -> str:
    """A line of the table: part, what, and a column for each number."""
    numbers = (str(row.get(key, "")).rjust(12) for key in COLUMNS)
    return f"{row['part']:<28}{row['what']:<44}" + "".join(numbers)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description="Speed and memory of bricks and of training."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="small bricks, few of them")
    add("--device", default="cuda" if cuda_usable() else "cpu", help="of networks: cpu, cuda")
    add("--repetitions", type=int, help="of each candidate, in turn")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add("--name", help="of the file in benchmarks/results; default: speed-<device>, quick: -quick after it")
    options = parser.parse_args()
    scale = QUICK if options.quick else FULL_ON_GPU if options.device == "cuda" else FULL
    rows = []
    print("".join([" " * 72, *(key.rjust(12) for key in COLUMNS)]), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), scale.repeated(options.repetitions), options.device)
        for part in options.parts:
            for row in PARTS[part](inputs):
                rows.append(row)
                print(as_line(row), flush=True)
    name = options.name or f"speed-{options.device}" + "-quick" * options.quick
    print(f"written to {write_results(name, 'benchmarks.speed', {'rows': rows}, options.device)}")


if __name__ == "__main__":
    main()
