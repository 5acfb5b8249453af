"""Whole bricks: jobs from file to file, and the parts of one brick."""

from __future__ import annotations

import resource
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from torch import Tensor, nn

from benchmarks.machine import cores
from benchmarks.speed.inputs import Inputs
from benchmarks.speed.timing import Row, alone, clocks, gpu_mib, peak_mib
from skydenoise.config import OutputSettings
from skydenoise.io import write_brick
from skydenoise.predict import Chunk, denoise, denoise_brick, load_denoiser, predict_bricks

OUTPUT = OutputSettings()


def end_to_end(inputs: Inputs) -> Iterator[Row]:
    """Seconds of a brick in jobs of several, as the workflow does them, start and checksums included.

    memory_mib : the most that one process held
    """
    for bricks in inputs.scale.bricks:
        yield alone(_job, inputs, bricks)


def _job(inputs: Inputs, bricks: int) -> Row:
    root = inputs.results / f"{bricks}-bricks"
    load = partial(load_denoiser, inputs.model, inputs.scale.settings, inputs.device)
    start = time.perf_counter()
    chunk = Chunk(inputs.cache, root, load, OUTPUT)
    predict_bricks(inputs.names[:bricks], chunk, root / "chunk.tsv", cores())
    seconds = time.perf_counter() - start
    shutil.rmtree(root)
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "part": "a brick, end to end",
        "what": f"of {bricks} on {cores()} cores",
        "seconds": round(seconds / bricks, 2),
        "cpu_seconds": round(sum(usage.ru_utime + usage.ru_stime for usage in usages) / bricks, 2),
        "memory_mib": round(max(usage.ru_maxrss for usage in usages) / 1024),
        "bricks_per_hour": round(3600 * bricks / seconds, 1),
    }


class PartClock:
    """Wall and processor seconds of parts that follow each other or lie within each other, by name."""

    def __init__(self) -> None:
        self.taken: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
        self._names = ["elsewhere"]
        self._last = clocks()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens meanwhile, except in parts within this one, is this part's."""
        self._mark()
        self._names.append(name)
        try:
            yield
        finally:
            self._mark()
            self._names.pop()

    def _mark(self) -> None:
        now = clocks()
        self.taken[self._names[-1]] += now - self._last
        self._last = now

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose calls are a part."""

        def run(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*arguments, **named)

        return run


class TimedNetwork(nn.Module):
    """A network whose calls are the part "network"."""

    def __init__(self, network: nn.Module, clock: PartClock) -> None:
        super().__init__()
        self.run = clock.timed("network", network)

    def forward(self, u: Tensor) -> Any:
        """As the network."""
        return self.run(u)


FUNCTIONS = {
    "noise_of": "noise",
    "fill_nearby": "fill",
    "apply_network": "tiles, blend, stretch",
    "put_light_back": "background",
    "recover": "recover",
    "fit_fluxes": "fluxes",
    "sigma_of": "sigma, flags",
    "with_flags": "sigma, flags",
}
"""Of `skydenoise.predict.denoise`, and what they are called in the table."""
ORDER = ("read", "noise", "fill", "units of noise", "tiles, blend, stretch", "network", "background",
         "recover", "fluxes", "sigma, flags", "write")  # fmt: skip


def parts(inputs: Inputs) -> Iterator[Row]:
    """Each part of one brick, one after the other in one process; memory is what the process held at most."""
    yield from alone(_parts, inputs)


def _parts(inputs: Inputs) -> list[Row]:
    found = [_parts_once(inputs) for _ in range(inputs.scale.repetitions + 1)][1:]  # the first one warms up
    rows: list[Row] = []
    for name in found[0]:
        wall, cpu = np.median([each[name] for each in found], axis=0)
        row = {"part": "parts of a brick", "what": name, "seconds": wall, "cpu_seconds": cpu}
        rows.append({key: round(float(x), 3) if key.endswith("seconds") else x for key, x in row.items()})
    rows[-1] |= {"memory_mib": round(peak_mib())} | ({"gpu_mib": round(gpu_mib())} if gpu_mib() else {})
    return rows


def _parts_once(inputs: Inputs) -> dict[str, np.ndarray]:
    denoiser = load_denoiser(inputs.model, inputs.scale.settings, inputs.device)
    clock = PartClock()
    timed = {name: clock.timed(part, getattr(denoise, name)) for name, part in FUNCTIONS.items()}
    denoiser = replace(denoiser, network=TimedNetwork(denoiser.network, clock))
    with clock.part("read"):
        brick = inputs.brick()
    with patch.multiple(denoise, **timed), clock.part("units of noise"):
        denoised = denoise_brick(brick, denoiser)
    with clock.part("write"):
        write_brick(inputs.results, brick, denoised, OUTPUT, {"key": "x"})
    taken = {name: clock.taken[name] for name in ORDER}
    return taken | {"together": np.sum(list(taken.values()), axis=0)}
