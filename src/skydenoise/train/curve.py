"""The training curve: a CSV file, and the same for TensorBoard, if that is installed."""

from __future__ import annotations

import csv
import io
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

    csv_file : rewritten whole each time, in one step
    tensorboard : folder of event files
    step : rows up to it stand in `tensorboard` already; those of later steps there are of no account
    """

    def __init__(self, csv_file: Path, tensorboard: Path, step: int) -> None:
        self.csv_file, self.step = csv_file, step
        self.events: SummaryWriter | None = None
        try:
            from torch.utils.tensorboard import SummaryWriter as Writer
        except ModuleNotFoundError:  # the extra `tensorboard`
            logger.info("TensorBoard is not installed: the curve stands in %s alone", csv_file)
        else:
            self.events = Writer(str(tensorboard), purge_step=step + 1 if step else None)

    def write(self, rows: Sequence[Mapping[str, float | None]]) -> None:
        """Write all rows so far; a value that is None is left empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.csv_file, text.getvalue())
        for row in rows:
            if self.events is not None and int(row["step"] or 0) > self.step:
                for column in ("loss", "validation", "rate"):
                    if row[column] is not None:
                        self.events.add_scalar(column, row[column], int(row["step"] or 0))
        self.step = max([self.step, *(int(row["step"] or 0) for row in rows)])

    def close(self) -> None:
        """Write out what is buffered."""
        if self.events is not None:
            self.events.close()
