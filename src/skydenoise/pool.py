"""One task for each of many items, in several processes at once.

Threads do not do: much of what a brick needs holds Python's lock, and so lets no other thread work.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from logging.handlers import QueueHandler
from multiprocessing import active_children, connection, get_context, parent_process
from queue import SimpleQueue
from typing import Any, TypeVar

from skydenoise.errors import StepError

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    threads: int,
    prepare: Callable[[int], None] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield every item with its result, as they are done, by as many processes as threads.

    Where items are fewer than threads there is a process for each, with its share of the threads. With one
    process all happens in this one. Otherwise messages that the package logs, and warnings, are logged here,
    an item's together when it is done; and no process outlives this one.

    task : with more than one process, something that can be pickled; each process has a copy of its own
    threads : of the job
    prepare : called once in each process, with its number of threads

    Raises
    ------
    StepError : a process died, for instance for lack of memory
    What a task raises; items that are in work are finished, the others are not begun
    """
    processes = max(1, min(threads, len(items)))
    share = max(1, threads // processes)
    if processes == 1:
        if prepare is not None:
            prepare(share)
        yield from ((item, task(item)) for item in items)
        return
    # new Pythons: a fork of this process would lack its threads, and could not use a GPU that this one uses
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (task, prepare, share)) as pool:
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
                "run again, with more memory (mem_mb) or fewer threads (set-threads)"
            ) from None
        except KeyboardInterrupt:
            for process in active_children():
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


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
