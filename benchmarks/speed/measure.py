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

Run = Callable[[], Any]

_run: Run | None = None
_idle_mib = 0.0


@dataclass(frozen=True)
class Timing:
    """Repetitions of one candidate.

    seconds, cpu : wall and processor time of each, in the order in which they took turns
    memory_mib : highest resident memory while it ran, beyond what it held when set up; NaN if not measured
    peak_mib : the same, all that it held
    """

    seconds: tuple[float, ...]
    cpu: tuple[float, ...]
    memory_mib: float = float("nan")
    peak_mib: float = float("nan")

    @property
    def median(self) -> float:
        """Median wall time, s."""
        return float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """Half the range of the wall time over its median."""
        return (max(self.seconds) - min(self.seconds)) / 2 / self.median


def times_slower(other: Timing, ours: Timing) -> dict[str, float]:
    """By what factor `other` takes longer: median, least and greatest over the pairs; and in processor time.

    Processor time hardly suffers from other programs on the machine.
    """
    wall = np.divide(other.seconds, ours.seconds)
    cpu = np.divide(other.cpu, ours.cpu)
    return {
        "ratio": round(float(np.median(wall)), 3),
        "ratio_low": round(float(wall.min()), 3),
        "ratio_high": round(float(wall.max()), 3),
        "ratio_cpu": round(float(np.median(cpu)), 3),
    }


def clocked(run: Run) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def take_turns(candidates: Mapping[str, Run], repetitions: int) -> dict[str, Timing]:
    """Time candidates in this process: each once unmeasured, then all in turn, `repetitions` times."""
    for run in candidates.values():
        run()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for _ in range(repetitions):
        for name, run in candidates.items():
            taken[name].append(clocked(run))
    return {name: _timing(each) for name, each in taken.items()}


def take_turns_apart(
    candidates: Mapping[str, tuple[Callable[..., Run], tuple[Any, ...]]], repetitions: int
) -> dict[str, Timing]:
    """The same, each candidate in a process of its own, so that none has another's memory or settings.

    candidates : name -> (function at the top of a module that sets up and returns what is timed, arguments)
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(_worker(setup, arguments))
            for name, (setup, arguments) in candidates.items()
        }
        for repetition in range(repetitions + 1):
            for name, worker in workers.items():
                timed = worker.submit(_again).result()
                if repetition:
                    taken[name].append(timed)
        memory = {name: worker.submit(_memory).result() for name, worker in workers.items()}
    return {name: _timing(each, *memory[name]) for name, each in taken.items()}


def alone(run: Callable[..., Any], *arguments: Any) -> Any:
    """What a function at the top of a module gives in a new process, which ends with it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as worker:
        return worker.submit(run, *arguments).result()


def _timing(taken: list[tuple[float, float]], *memory_mib: float) -> Timing:
    wall, cpu = zip(*taken, strict=True)
    return Timing(wall, cpu, *memory_mib)


@contextmanager
def _worker(setup: Callable[..., Run], arguments: tuple[Any, ...]) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, get_context("spawn"), _set_up, (setup, arguments)) as worker:
        yield worker


def _set_up(setup: Callable[..., Run], arguments: tuple[Any, ...]) -> None:
    global _run, _idle_mib
    _run = setup(*arguments)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is resident now
    _idle_mib = peak_mib()


def _again() -> tuple[float, float]:
    assert _run is not None
    return clocked(_run)


def _memory() -> tuple[float, float]:
    return peak_mib() - _idle_mib, peak_mib()


def peak_mib() -> float:
    """Highest resident memory of this process since it began, or since `_set_up` (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
