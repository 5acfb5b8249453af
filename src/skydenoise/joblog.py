"""One log and one lock per job.

Lines stand in the log's file, and on standard error where progress bars may also stand. The lock lies beside
the log: of two jobs that write the same, one of them an orphan of a killed run, the second waits.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tqdm.contrib.logging import logging_redirect_tqdm

from skydenoise.errors import BrickError, SettingsError, StepError, disk_full
from skydenoise.io.lock import only_one

logger = logging.getLogger("skydenoise")


@contextmanager
def job_log(path: str | Path, lock: bool = True) -> Iterator[None]:
    """Log the package's messages to `path` and to standard error, and hold the job's lock, in the block.

    lock : False for a process that works for another one, which holds the lock

    An error that a user can act on ends the job with its one line; anything else with its traceback. Both
    stand in the log.
    """
    file = logging.FileHandler(path, mode="a", encoding="utf-8")
    screen = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    formatter.converter = time.gmtime
    for handler in (file, screen):
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(file)
    try:
        alone = only_one(Path(path).with_suffix(".lock")) if lock else nullcontext()
        with logging_redirect_tqdm(loggers=[logger]), alone:
            yield
    except (BrickError, SettingsError, StepError) as error:
        logger.error("%s", error)
        raise SystemExit(1) from None
    except Exception as error:
        if disk_full(error):
            logger.error("%s (make room, then run the same command again)", " ".join(str(error).split()))
        else:
            logger.exception("unexpected error")
        raise SystemExit(1) from None
    finally:
        for handler in (file, screen):
            logger.removeHandler(handler)
        logging.getLogger("py.warnings").removeHandler(file)
        file.close()
