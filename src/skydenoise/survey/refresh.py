"""What was fetched and is to be fetched again: files that the survey has replaced, or that were at fault."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import MappingProxyType

from tqdm import tqdm

from skydenoise import paths
from skydenoise.config import FetchSettings
from skydenoise.io.verified import RECORD, Fetched, read_record
from skydenoise.survey.checks import survey_checksums
from skydenoise.survey.download import Downloader, RefusedError, TransferError
from skydenoise.survey.fetch import GOES_ON, FetchError

log = logging.getLogger(__name__)


def forget_replaced(
    bricks: Sequence[str],
    bands: Sequence[str],
    survey: paths.Survey,
    cache: Path,
    settings: FetchSettings,
    places: Mapping[str, str] = MappingProxyType({}),
) -> set[str]:
    """Ask the survey which bricks it has replaced since they were fetched, and remove their old files.

    A file was replaced if its sha256 is not the survey's; where the survey has none of it, if size and date
    (or ETag) are not those of the file that was fetched, or if there was none. Bricks that were not fetched
    are passed over.

    places : of bricks that come from elsewhere than `survey`, as in `fetch_bricks`

    Returns the bricks; the log names them and their files. Raises FetchError, and forgets nothing, if a brick
    could not be asked for.
    """
    count = settings.connections
    with ThreadPool(count) as pool, Downloader(settings) as downloader:
        ask = partial(_replaced, bands=bands, cache=cache, downloader=downloader)
        surveys = [survey.at(places.get(brick, survey.place)) for brick in bricks]
        asked = pool.imap(lambda pair: ask(*pair), zip(bricks, surveys, strict=True))
        answers = tqdm(asked, total=len(bricks), desc="refresh", unit="brick", disable=None)
        try:
            replaced = {brick: files for brick, files in zip(bricks, answers, strict=True) if files}
        except TransferError as error:
            raise FetchError(f"{error} ({GOES_ON})") from error
    for brick, files in replaced.items():
        log.warning("brick %s was replaced at the survey: %s", brick, ", ".join(path.name for path in files))
        _forget(files)
    log.info("%d of %d bricks were replaced at the survey", len(replaced), len(bricks))
    return set(replaced)


def forget_fetched(bricks: Iterable[str], cache: Path) -> None:
    """Let the next run ask the survey anew for bricks that were at fault.

    Files that the survey's checksums vouch for stay, unless these have changed by then.
    """
    for brick in bricks:
        folder = paths.raw_file(cache, brick, "maskbits").parent
        _forget([folder / name for name, file in read_record(folder).items() if file.vouched != "survey"])
        (folder / RECORD).unlink(missing_ok=True)


def _forget(files: Sequence[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)
        path.with_name(RECORD).unlink(missing_ok=True)


def _replaced(
    brick: str, survey: paths.Survey, *, bands: Sequence[str], cache: Path, downloader: Downloader
) -> list[Path]:
    """Files of a brick that are not what the survey has now; raises TransferError."""
    kinds = paths.raw_kinds(bands)
    files = {paths.raw_file(cache, brick, *kind): survey.file(brick, *kind) for kind in kinds}
    record = read_record(next(iter(files)).parent)
    sums = survey_checksums(downloader, survey, brick, {path.name for path in files}) if record else {}
    replaced = []
    for path, url in files.items():
        fetched = record.get(path.name)
        if path.name in sums:
            same = fetched is not None and fetched.sha256 == sums[path.name]
        else:
            same = fetched is None or _same_version(downloader, url, fetched)
        if not same:
            replaced.append(path)
    return replaced


def _same_version(downloader: Downloader, url: str, fetched: Fetched) -> bool:
    """Whether the survey's file is still the one that was fetched, as far as can be told."""
    try:
        now = downloader.version(url)
    except RefusedError as error:
        if fetched.sha256:
            log.warning("%s: %s", url, error)
        return True
    if fetched.sha256 and not fetched.version:
        log.warning(
            "%s: no checksum, and no date of what was fetched: nothing tells whether it was replaced", url
        )
        return True
    return fetched.version == now
