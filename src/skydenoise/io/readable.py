"""Many bricks, one at a time in memory; one that cannot be read does not stop the others."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

from skydenoise.errors import BrickError

T = TypeVar("T")
log = logging.getLogger(__name__)


def readable(
    names: Sequence[str], read: Callable[[str], T], *, step: str, skipped: dict[str, str] | None = None
) -> Iterator[T]:
    """Yield the bricks that can be read; the log says why the others are left out.

    read : gives the brick of a name, or what else is made of it, or raises BrickError
    step : what the bricks are read for, in the progress bar and in the log
    skipped : takes the reason of each brick that is left out, by name
    """
    for name in tqdm(names, desc=step, unit="brick", disable=None):
        try:
            brick = read(name)
        except BrickError as error:
            log.warning("left out of %s: %s", step, error)
            if skipped is not None:
                skipped[name] = str(error)
        else:
            yield brick
            del brick  # or two would be in memory while the next one is read
