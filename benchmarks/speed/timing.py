"""Time and memory of candidates that take turns, each in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skydenoise.pool import KEEP_MEMORY

os.environ.update(KEEP_MEMORY)  # as in the processes of a job

Row = dict[str, Any]
Run = Callable[[], Any]
Candidate = tuple[Callable[..., Run], tuple[Any, ...]]
"""A function at the top of a module that sets up and returns what is timed, and its arguments."""

_run: Run | None = None
_idle_mib = 0.0


@dataclass(frozen=True)
class Timing:
    """Repetitions of one candidate.

    seconds, cpu : wall and processor time of each, in the order in which they took turns
    memory_mib : highest resident memory while it ran, beyond what it held when set up
    gpu_mib : highest memory that torch held on a GPU; 0 without one
    """

    seconds: tuple[float, ...]
    cpu: tuple[float, ...]
    memory_mib: float
    gpu_mib: float = 0.0

    def row(self, part: str, what: str, best: Timing | None = None) -> Row:
        """Medians as a line of the table; times : as long as `best`, median over the pairs in turn."""
        found: Row = {
            "part": part,
            "what": what,
            "seconds": round(float(np.median(self.seconds)), 3),
            "spread": round(float(np.ptp(self.seconds) / 2 / np.median(self.seconds)), 3),
            "cpu_seconds": round(float(np.median(self.cpu)), 3),
            "memory_mib": round(self.memory_mib),
        }
        if self.gpu_mib:
            found["gpu_mib"] = round(self.gpu_mib)
        if best is not None:
            found["times"] = round(float(np.median(np.divide(self.seconds, best.seconds))), 2)
        return found


def take_turns(candidates: Mapping[str, Candidate], repetitions: int) -> dict[str, Timing]:
    """Time candidates: each once unmeasured, then all in turn, `repetitions` times.

    Each has a process of its own, so that none has another's memory or settings.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(*each)) for name, each in candidates.items()}
        for repetition in range(repetitions + 1):
            for name, worker in workers.items():
                timed = worker.submit(_timed).result()
                if repetition:
                    taken[name].append(timed)
        memory = {name: worker.submit(_memory).result() for name, worker in workers.items()}
    return {name: Timing(*zip(*each, strict=True), *memory[name]) for name, each in taken.items()}


def alone(run: Callable[..., Any], *arguments: Any) -> Any:
    """What a function at the top of a module gives in a new process, which ends with it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as worker:
        return worker.submit(run, *arguments).result()


@contextmanager
def _worker(setup: Callable[..., Run], arguments: tuple[Any, ...]) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, get_context("spawn"), _set_up, (setup, arguments)) as worker:
        yield worker


def _set_up(setup: Callable[..., Run], arguments: tuple[Any, ...]) -> None:
    global _run, _idle_mib
    _run = setup(*arguments)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is resident now
    _idle_mib = peak_mib()


def _timed() -> tuple[float, float]:
    assert _run is not None
    start = clocks()
    _run()
    wall, cpu = clocks() - start
    return float(wall), float(cpu)


def _memory() -> tuple[float, float]:
    return peak_mib() - _idle_mib, gpu_mib()


def clocks() -> np.ndarray:
    """Wall and processor clock of this process, s, when all that was asked of a GPU is done."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()])


def peak_mib() -> float:
    """Highest resident memory of this process since it began, or since `_set_up` (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def gpu_mib() -> float:
    """Highest memory that torch held on a GPU for this process; 0 without one."""
    return torch.cuda.max_memory_reserved() / 2**20 if torch.cuda.is_initialized() else 0.0
