"""What became of each brick of a chunk: one tab-separated line per brick."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from skydenoise.errors import StepError
from skydenoise.io.atomic import write_text
from skydenoise.paths import check_brick_name

STATES = ("done", "kept", "skipped")


@dataclass(frozen=True)
class Entry:
    """One brick's line.

    brick : name
    state : "done", "kept" (was complete before) or "skipped"
    files : how many files belong to it
    sha256 : digest over the sha256 of its files in order of name, empty if skipped
    seconds : time spent on it
    reason : why it was skipped, in one line
    noise : of a denoised brick, by band: rms of a sky pixel in nanomaggies, and correlation of touching ones
    foreign : what of this noise the model was not trained for; empty if nothing
    bands : in which the brick was observed, by spaces; empty if skipped, or not known
    unmasked : bits, such as SATUR_I, that the maskbits of a denoised brick lack; empty if none
    unverified : how many of the files no checksum vouches for, neither the survey's nor one of their own
    """

    brick: str
    state: str
    files: int = 0
    sha256: str = ""
    seconds: float = 0.0
    reason: str = ""
    noise: str = ""
    foreign: str = ""
    bands: str = ""
    unmasked: str = ""
    unverified: int = 0


def write_manifest(path: Path, entries: Iterable[Entry]) -> None:
    """Write the entries to `path` in one step, sorted by brick."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, [field.name for field in fields(Entry)], delimiter="\t", lineterminator="\n"
    )
    writer.writeheader()
    for entry in sorted(entries, key=lambda entry: entry.brick):
        writer.writerow(asdict(entry) | {"seconds": f"{entry.seconds:.2f}"})
    write_text(path, text.getvalue())


def read_manifest(path: Path) -> list[Entry]:
    """Read what `write_manifest` wrote; raises StepError if that is not what is there."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows: list[dict[str, Any]] = list(csv.DictReader(stream, delimiter="\t", strict=True))
        for row in rows:
            for key, number in (("files", int), ("seconds", float), ("unverified", int)):
                row[key] = number(row[key])
            check_brick_name(row["brick"], survey=False)
            if row["state"] not in STATES:
                raise ValueError(f"{row['state']!r} is none of {', '.join(STATES)}")
        return [Entry(**row) for row in rows]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise StepError(
            f"{path}: is no manifest ({cause}); remove it, and the next run makes it again"
        ) from None


def finished(manifests: Iterable[Path | str]) -> list[str]:
    """Names of the bricks that were not skipped, over several manifests, sorted and each once."""
    return sorted(bands_of(manifests))


def bands_of(manifests: Iterable[Path | str]) -> dict[str, list[str]]:
    """Bands of each brick that was not skipped, by name, over several manifests."""
    entries = [entry for path in manifests for entry in read_manifest(Path(path))]
    return {entry.brick: entry.bands.split() for entry in entries if entry.state != "skipped"}


def needed(manifests: Iterable[Path | str], step: str) -> list[str]:
    """Like `finished`, for a step that cannot do without a brick; raises StepError if there is none."""
    manifests = list(manifests)
    names = finished(manifests)
    if not names:
        skipped = [entry.reason for path in manifests for entry in read_manifest(Path(path))]
        cause = f"all {len(skipped)} were skipped, the first: {skipped[0]}" if skipped else "none is listed"
        raise StepError(f"{step}: there is no training brick: {cause}")
    return names


def skipped_bricks(chains: Iterable[Sequence[Path | str]]) -> set[str]:
    """Names of the bricks that any manifest of these chunks lists as skipped; see `forget`."""
    present = (path for chain in chains for path in map(Path, chain) if path.exists())
    return {entry.brick for path in present for entry in read_manifest(path) if entry.state == "skipped"}


def forget(
    bricks: Set[str], chains: Iterable[Sequence[Path | str]], summaries: Iterable[Path | str]
) -> list[Path]:
    """Remove what was noted of the chunks that hold one of `bricks`, so that the next run does them again.

    chains : of each chunk its manifests, one per step; those that are not there are passed over
    summaries : what is made of all manifests; removed with them, for Snakemake makes nothing again that only
        what is up to date would need

    Returns the manifests that were removed. What is complete in these chunks is kept by the next run.
    """
    forgotten: list[Path] = []
    for chain in chains:
        present = [path for path in map(Path, chain) if path.exists()]
        if any(entry.brick in bricks for path in present for entry in read_manifest(path)):
            forgotten += present
    forgotten = list(dict.fromkeys(forgotten))
    for path in (*forgotten, *map(Path, summaries if forgotten else ())):
        path.unlink(missing_ok=True)
    return forgotten


def summarise(
    fetched: Iterable[Path], cut: Iterable[Path], predicted: Iterable[Path], skipped: Path, summary: Path
) -> None:
    """Gather what was skipped and how many bricks were done, by the manifests of fetch, patches and predict.

    skipped : table to write (brick, step, reason)
    summary : text to write, for a person
    """
    manifests = {"fetch": fetched, "patches": cut, "predict": predicted}
    steps = {
        step: [entry for path in files for entry in read_manifest(path)] for step, files in manifests.items()
    }
    reasons = sorted(
        {
            (entry.brick, step, entry.reason)
            for step, entries in steps.items()
            for entry in entries
            if entry.state == "skipped"
        }
    )
    lines = ["brick\tstep\treason", *("\t".join(row) for row in reasons)]
    write_text(skipped, "\n".join(lines) + "\n")
    done = len({entry.brick for entry in steps["predict"] if entry.state != "skipped"})
    text = f"{done} bricks denoised, {len({brick for brick, *_ in reasons})} skipped"
    text += f"; the reasons stand in {skipped}:\n" if reasons else "\n"
    text += "".join(f"  {step}: {reason}\n" for _, step, reason in reasons[:20])
    observed = Counter(entry.bands for entry in steps["predict"] if entry.bands)
    if observed:
        text += f"Observed: {', '.join(f'{count} in {bands}' for bands, count in observed.most_common())}.\n"
    foreign = [entry for entry in steps["predict"] if entry.foreign]
    if foreign:
        text += (
            f"{len(foreign)} with noise that the model was not trained for; see `foreign` in the manifests:\n"
        )
        text += "".join(f"  brick {entry.brick}: {entry.foreign}\n" for entry in foreign[:20])
    if unmasked := [entry.brick for entry in steps["predict"] if entry.unmasked]:
        text += f"{len(unmasked)} with maskbits that lack a bit of a band; see `unmasked` in the manifests.\n"
    if unverified := sum({entry.brick: entry.unverified for entry in steps["fetch"]}.values()):
        text += (
            f"No checksum vouches for {unverified} raw files (column unverified in the manifests of fetch).\n"
        )
    if reasons:
        text += "When the cause is mended: the same command with target retry_skipped, then without it.\n"
    write_text(summary, text)
