"""The campaign: what goes wrong, how it is made, what the first run does, what makes the second one whole.

Faults that tests of one room already make stand in `elsewhere`: none is written twice. Faults that
are named `subject: variant` become one line for each subject (`table.py`).
"""

from dataclasses import dataclass

from .house import House
from .spoil import (
    Spoil,
    before,
    by_hand,
    card,
    checkpoint,
    cut,
    denoise_again,
    description,
    flip,
    huge,
    leftover,
    manifest,
    not_finite,
    raw,
    remove,
    tensors,
    text,
    train_again,
    weights_not_finite,
)

LEFT_OUT = "left out"
"""The brick, which is named with the cause; the others are done."""
ONE_LINE = "one line"
"""And the job ends, with nothing half-written."""
UNHARMED = "same bytes"
"""As without the fault."""


@dataclass(frozen=True)
class Fault:
    """One row.

    what : goes wrong, in a few words
    spoil : makes it so
    first : what the first run does
    said : regular expression in its logs; empty if they need not say anything
    mend : the remedy; after it the second run gives what a run without the fault gives, byte for byte
    """

    what: str
    spoil: Spoil
    first: str
    said: str = ""
    mend: Spoil = House.retry_skipped


def nothing(house: House) -> None:
    """No remedy is needed."""


CHANGED = r"BAD, band r, .*: changed since it was fetched.* \(snakemake retry_skipped"
CONTENT = (
    Fault(
        "a flipped bit: in a file to denoise",
        before("predict", raw(flip)),
        LEFT_OUT,
        CHANGED,
    ),
    Fault("a flipped bit: in a file to train on", before("noise", raw(flip)), LEFT_OUT, CHANGED),
    Fault("a fetched file cut short", before("predict", raw(cut)), LEFT_OUT, CHANGED),
    Fault(
        "a flipped bit in patches",
        before("train", lambda house: flip(house.root / "patches/invvar.npy")),
        ONE_LINE,
        r"patches: .*invvar\.npy is damaged .*changed since it was cut.*: remove it",
        remove("patches/invvar.npy", "patches/bricks.tsv"),
    ),
    Fault(
        "a flipped bit: in a denoised file",
        before("mosaic", lambda house: flip(house.product())),
        LEFT_OUT,
        r"left out of the mosaic: brick BAD, band r, .*(CHECKSUM|DATASUM) does not hold",
        denoise_again,
    ),
    Fault(
        "a header: bytes that are no text",
        before("noise", by_hand(card(b"CTYPE1  = 'RA", b"CTYPE1  = '\xff\xfe"))),
        LEFT_OUT,
        r"left out of patches: brick BAD, band r, .*: (truncated, )?damaged",
    ),
    Fault(
        "a header: an unreadable card",
        before("noise", by_hand(card(b"CRVAL1  =                 0.15", b"CRVAL1  =                 0..5"))),
        LEFT_OUT,
        r"left out of noise: brick BAD, band r, .*: damaged header: card \d+, CRVAL1",
    ),
    Fault(
        "a header: no size",
        before("noise", by_hand(card(b"NAXIS2  =                  112", b"NAXISX  =                  112"))),
        LEFT_OUT,
        r"brick BAD, band r, .*: .*(truncated, damaged or no FITS file|no image)",
    ),
    Fault(
        "a small file that unpacks to 320 GB",
        before("noise", by_hand(huge)),
        LEFT_OUT,
        r"brick BAD, band r, .*: [\d.e+]+ GB are needed for its pixels, the job has",
    ),
    *(
        Fault(
            f"a checkpoint: {what}", checkpoint(spoil), UNHARMED, f"is not taken, going on without it: {said}"
        )
        for what, spoil, said in (
            ("flipped bit", flip, "its content has changed since it was written"),
            ("cut short", cut, ""),
            ("array missing", tensors(lambda arrays: arrays.popitem()), "its content has changed"),
            ("NaN", tensors(not_finite), "its content has changed"),
        )
    ),
    Fault(
        "a checkpoint: both cut short",
        checkpoint(cut, "checkpoint-before.safetensors"),
        UNHARMED,
        r"checkpoint-before\.safetensors is not taken, going on without it",
    ),
)

CHANGES = tuple(
    Fault(f"a half-written file: {name}", before(step, leftover(folder, name)), UNHARMED)
    for step, folder, name in (
        ("fetch", "raw/141/1411m032", "legacysurvey-1411m032-image-r.fits.fz"),
        ("noise", "run/patches", "noise.json"),
        ("patches", "run/patches", "image.npy"),
        ("train", "run/model", "checkpoint.safetensors"),
        ("predict", "run/coadd/141/1411m032", "skydenoise-1411m032-image-r.fits.fz"),
        ("mosaic", "run/mosaic", "image-g.fits"),
    )
)

LINES = (
    Fault(
        "a patch file cut short",
        before("train", lambda house: cut(house.root / "patches/image.npy")),
        ONE_LINE,
        r"patches: .*image\.npy is damaged .*: remove it, and the next run cuts the patches again",
        remove("patches/image.npy", "patches/bricks.tsv"),
    ),
    *(
        Fault(
            f"a manifest: {what}",
            before("predict", manifest(old, new)),
            ONE_LINE,
            r"c\.tsv: is no manifest .*; remove it, and the next run makes it again",
            remove("fetch/c.tsv"),
        )
        for what, old, new in (
            ("word for a number", "\t4\t", "\tfour\t"),
            ("unknown state", "\tdone\t", "\tfinished\t"),
            ("path for a brick", "1411m032\t", "../../1411m032\t"),
            ("open quote", "1411m032\t", '"1411m032\t'),
        )
    ),
    *(
        Fault(f"a model: {what}", before("predict", spoil), ONE_LINE, said, train_again)
        for what, spoil, said in (
            ("of 10^9 channels", description(width=10**9), r"model\.width: 1000000000 is greater than"),
            (
                "of 10^6 blocks",
                description(residual_blocks=10**6),
                r"residual_blocks: 1000000 is greater",
            ),
            ("of 99 levels", description(levels=99), r"model\.levels: 99 is greater than the maximum"),
            ("for 10^9 bands", description(bands=10**9), r"1000000000 channels for the bands g r"),
            (
                "of 10^11 weights",
                description(width=1024, levels=8, residual_blocks=64),
                r"model: [\d.e+]+ weights are more than",
            ),
            (
                "with NaN",
                weights_not_finite,
                r"safetensors: .* has values that are not finite",
            ),
            ("cut short", text("model/model.json", '{"format": 2, '), "cannot be used"),
        )
    ),
    Fault(
        "an uncertainty cut short",
        before("predict", text("model/uncertainty.json", '{"bands": ')),
        ONE_LINE,
        r"uncertainty\.json is damaged .*; remove it: the next run measures it",
        remove("model/uncertainty.json"),
    ),
)

FAULTS = (*CONTENT, *CHANGES, *LINES)
