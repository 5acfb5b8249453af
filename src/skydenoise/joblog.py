"""One log per job: lines in a file, and on standard error where progress bars may also stand."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm.contrib.logging import logging_redirect_tqdm

from skydenoise.errors import BrickError, SettingsError, StepError, disk_full

logger = logging.getLogger("skydenoise")


@contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Log the package's messages to `path` and to standard error while the block runs.

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
        with logging_redirect_tqdm(loggers=[logger]):
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
