"""One task for each of many items, in several processes at once.

Threads do not do: much of what a brick needs holds Python's lock, and so lets no other thread work.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from logging.handlers import QueueHandler
from multiprocessing import active_children, connection, get_context, parent_process
from queue import SimpleQueue
from typing import Any, TypeVar

from skydenoise.errors import StepError

log = logging.getLogger(__name__)

KEEP_MEMORY = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**32))
"""Of glibc, read when a process starts: freed arrays up to 4 GB stay with it. Else the system takes every
array's pages back and clears new ones for the next, a tenth of a brick's time."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    threads: int,
    prepare: Callable[[int], None] | None = None,
    died: Callable[[Item, bool], Result] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield every item with its result, as they are done, by as many processes as threads.

    Where items are fewer than threads there is a process for each, with its share of the threads. With one
    process all happens in this one. Otherwise messages that the package logs, and warnings, are logged here,
    an item's together when it is done; and no process outlives this one. If a process dies, the items that
    were in work are tried again, one at a time in a process of its own: so one item ends no other.

    task : with more than one process, something that can be pickled; each process has a copy of its own
    threads : of the job
    prepare : called once in each process, with its number of threads
    died : gives the result of an item whose own process died, too; told whether something killed it, as the
        system does for lack of memory, or it crashed. None: that is a StepError

    Raises
    ------
    StepError : the process of an item died, and `died` is None
    What a task raises; items that are in work are finished, the others are not begun
    """
    processes = max(1, min(threads, len(items)))
    share = max(1, threads // processes)
    if processes == 1:
        if prepare is not None:
            prepare(share)
        yield from ((item, task(item)) for item in items)
        return
    waiting = deque(items)
    while waiting:
        suspects, _ = yield from _side_by_side(waiting, processes, (task, prepare, share))
        for item in suspects:
            log.warning("a process died, perhaps for lack of memory: trying %s again, alone", item)
            dead, killed = yield from _side_by_side(deque([item]), 1, (task, prepare, threads))
            if dead and died is None:
                raise StepError(
                    f"the process of {item} died, perhaps for lack of memory; what is finished is kept: run "
                    "again, with more memory (mem_mb)"
                )
            if dead and died is not None:
                yield item, died(item, killed)


def _side_by_side(
    waiting: deque[Item], processes: int, start: tuple[Any, ...]
) -> Generator[tuple[Item, Any], None, tuple[list[Item], bool]]:
    """Take items off `waiting` and yield their results, until there is none left or a process dies.

    Returns the items that were in work then, and whether something killed the process.
    """
    working: dict[Future[Any], Item] = {}
    children: set[Any] = set()
    os.environ.update({name: value for name, value in KEEP_MEMORY.items() if name not in os.environ})
    # new Pythons: a fork of this process would lack its threads, and could not use a GPU that this one uses
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, start) as pool:
        try:
            while waiting or working:
                while waiting and len(working) < processes:
                    working[pool.submit(_work, waiting[0])] = waiting[0]
                    waiting.popleft()
                    children.update(active_children())
                for future in wait(working, return_when=FIRST_COMPLETED).done:
                    result, messages = future.result()
                    for message in messages:
                        logging.getLogger(message.name).handle(message)
                    yield working.pop(future), result
        except BrokenProcessPool:
            pool.shutdown(cancel_futures=True)
            codes = {process.exitcode for process in children} - {None, 0, -signal.SIGTERM}  # of the others
            return list(working.values()), codes <= {-signal.SIGKILL}
        except KeyboardInterrupt:
            for process in active_children():
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
    return [], False


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
