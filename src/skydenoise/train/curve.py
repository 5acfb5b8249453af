"""The training curve: a CSV file, and the same for TensorBoard, if that is installed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skydenoise.io.atomic import write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

COLUMNS = ("epoch", "step", "loss", "validation", "rate", "seconds")


class Curve:
    """Writes the rows of a curve, one per epoch.

    tensorboard : folder of event files; those of steps after `step` that stand there are of no account
    """

    def __init__(self, csv_file: Path, tensorboard: Path, step: int) -> None:
        self.csv_file = csv_file
        self.events: SummaryWriter | None = None
        try:
            from torch.utils.tensorboard import SummaryWriter as Writer
        except ModuleNotFoundError:  # the extra `tensorboard`
            logger.info("TensorBoard is not installed: the curve stands in %s alone", csv_file)
        else:
            self.events = Writer(str(tensorboard), purge_step=step + 1 if step else None)

    def write(self, rows: Sequence[Mapping[str, float | None]]) -> None:
        """Write all rows to the CSV file, in one step, and the last one to TensorBoard's; None is empty."""
        cells = (["" if row[key] is None else str(row[key]) for key in COLUMNS] for row in rows)
        write_text(self.csv_file, "\n".join([*map(",".join, [COLUMNS, *cells]), ""]))
        for column in ("loss", "validation", "rate"):
            if self.events is not None and rows[-1][column] is not None:
                self.events.add_scalar(column, rows[-1][column], rows[-1]["step"])

    def close(self) -> None:
        """Write out what is buffered."""
        if self.events is not None:
            self.events.close()
