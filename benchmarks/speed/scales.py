"""How large a benchmark is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes of a benchmark.

    edge : pixels along a brick's edge
    tile, overlap : as in PredictSettings
    repetitions : of each candidate, taken in turn
    chunks : numbers of bricks in one run of the pipeline
    processes : numbers of them that the most of `chunks` are shared among, beside one for each core
    patch, batches, steps : edge and batch sizes of the training, and its timed steps
    ranks : numbers of ranks of a training; none where there is no time for it
    seeds : of the trainings whose losses are compared
    kernel_edge : pixels along the edge of the image for recover and the transforms
    dry_runs : numbers of bricks of a dry run
    peer_batches, own_batches : tiles at a time, for MONAI, and for us
    matrix, stream : edge of the matrices, and MB of the arrays, for the limits of the machine
    """

    edge: int
    repetitions: int
    chunks: tuple[int, ...]
    batches: tuple[int, ...]
    steps: int
    kernel_edge: int
    dry_runs: tuple[int, ...]
    tile: int = 256
    overlap: int = 32
    patch: int = 256
    processes: tuple[int, ...] = (1,)
    ranks: tuple[int, ...] = (1, 2)
    seeds: tuple[int, ...] = (0, 1, 2)
    peer_batches: tuple[int, ...] = (1, 2, 4)
    own_batches: tuple[int, ...] = (2, 1, 4)
    matrix: int = 2048
    stream: int = 256


FULL = Scale(3600, 5, (1, 2, 4, 8), (4, 8, 16, 32), 6, 3600, (100, 10_000))
QUICK = Scale(900, 2, (1, 2), (4,), 1, 900, (100,), ranks=(), seeds=(), peer_batches=(2,))
TINY = Scale(
    400, 1, (1,), (2,), 1, 400, (), 64, 16, patch=32, seeds=(0,), peer_batches=(4,), matrix=64, stream=1
)
