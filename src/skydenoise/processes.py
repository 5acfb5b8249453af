"""One task for each of many items, in several processes at once.

Threads do not do: much of what a brick needs holds Python's lock, and so lets no other thread work.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing import active_children, connection, forkserver, get_context, parent_process
from multiprocessing.context import BaseContext
from queue import SimpleQueue
from typing import Any, TypeVar

import psutil

from skydenoise.errors import StepError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Crew:
    """Processes that work side by side, and the threads that they share."""

    processes: int
    threads: int

    def share(self, items: int) -> tuple[int, int]:
        """Processes for so many items, and the threads of each."""
        processes = max(1, min(self.processes, items))
        return processes, max(1, self.threads // processes)


@dataclass(frozen=True)
class Need:
    """Memory of a process: MiB, and bytes for each pixel of each band of its brick."""

    fixed_mib: int
    pixel_bytes: int

    def mib(self, pixels: int) -> int:
        """For a brick of so many pixels, in all bands together."""
        return self.fixed_mib + (self.pixel_bytes * pixels >> 20)


def crew_within(threads: int, memory_mib: int, each_mib: int) -> Crew:
    """As many processes as threads, if there is memory for so many.

    memory_mib : that all may use; what is free on the machine is the limit, too
    each_mib : that one takes
    """
    free_mib = psutil.virtual_memory().available >> 20
    return Crew(max(1, min(threads, min(memory_mib, free_mib) // each_mib)), threads)


def each(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    crew: Crew,
    prepare: Callable[[int], None] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield every item with its result, as they are done.

    With one process all happens in this one. Otherwise messages that the package logs, and warnings, are
    logged here, an item's together when it is done; and no process outlives this one. See `forks_with`.

    task : with more than one process, something that can be pickled; each process has a copy of its own
    prepare : called once in each process, with its number of threads

    Raises
    ------
    StepError : a process died, for instance for lack of memory
    What a task raises; items that are in work are finished, the others are not begun
    """
    processes, threads = crew.share(len(items))
    if processes == 1:
        if prepare is not None:
            prepare(threads)
        yield from ((item, task(item)) for item in items)
        return
    start = (task, prepare, threads)
    with ProcessPoolExecutor(processes, forks_with(task.__module__), _start, start) as pool:
        try:
            futures = {pool.submit(_work, item): item for item in items}
            for future in as_completed(futures):
                result, messages = future.result()
                for message in messages:
                    logging.getLogger(message.name).handle(message)
                yield futures.pop(future), result
        except BrokenProcessPool:
            raise StepError(
                f"one of {processes} processes died, perhaps for lack of memory; what is finished is kept: "
                "run again, with more memory (mem_mb) or fewer threads"
            ) from None
        except KeyboardInterrupt:
            for process in active_children():
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def forks_with(module: str) -> BaseContext:
    """Where processes are forks of a server that imported `module` and what this process has of the package.

    So each need not. A fork of this process would lack its threads, and could not use a GPU that this one
    uses. The first call of a process starts the server: its imports, and the environment as it is then, hold
    for all.
    """
    package = __name__.partition(".")[0]
    ours = [name for name in list(sys.modules) if name.partition(".")[0] == package]
    context = get_context("forkserver")
    context.set_forkserver_preload([module, *ours])
    with _import_paths_in_environment():
        forkserver.ensure_running()
    return context


@contextmanager
def _import_paths_in_environment() -> Iterator[None]:
    """Let a new Python find modules where this one does: a server is told in no other way."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


_task: Callable[[Any], Any]
_messages: SimpleQueue[logging.LogRecord] = SimpleQueue()


def _start(task: Callable[[Any], Any], prepare: Callable[[int], None] | None, threads: int) -> None:
    """Set up this process."""
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C: go without a traceback, the parent has one
    threading.Thread(target=_go_with_parent, daemon=True).start()
    logging.captureWarnings(True)
    for name in ("skydenoise", "py.warnings"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(QueueHandler(_messages))
    if prepare is not None:
        prepare(threads)


def _go_with_parent() -> None:
    """End this process when its parent is gone, however it went."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _work(item: Any) -> tuple[Any, list[logging.LogRecord]]:
    """Result of an item, and what was logged."""
    result = _task(item)
    messages = []
    while not _messages.empty():
        messages.append(_messages.get())
    return result, messages
