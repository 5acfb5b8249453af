"""Errors a user can act on: one clear line each."""

import errno
from pathlib import Path


class SettingsError(ValueError):
    """An impossible setting: the message names the key and the reason in one line."""


class BrickError(Exception):
    """Something is wrong with one brick; the chunk goes on with the others.

    Parameters
    ----------
    cause : what is wrong, in one line
    brick, band, file : where, as far as known
    remedy : what the user can do about it, if anything
    """

    def __init__(
        self,
        cause: str,
        *,
        brick: str,
        band: str | None = None,
        file: Path | str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.cause, self.brick, self.band, self.file, self.remedy = cause, brick, band, file, remedy
        where = [f"brick {brick}"]
        if band is not None:
            where.append(f"band {band}")
        if file is not None:
            where.append(str(file))
        line = f"{', '.join(where)}: {cause}" + (f" ({remedy})" if remedy else "")
        super().__init__(" ".join(line.split()))


class StepError(RuntimeError):
    """A whole step cannot go on (network down, loss not finite, disk full): one line, cause and remedy."""


def one_line(error: BaseException) -> str:
    """What an error says, or of which kind it is, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def disk_full(error: BaseException) -> bool:
    """Whether an exhausted disk, quota or `ulimit -f` is at the bottom of `error`: later writes fail too."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
