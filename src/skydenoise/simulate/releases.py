"""What the survey's releases have in common, and what not: read from legacypipe's code at their tags."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy.io import fits

MASKBITS = (
    ("NPRIMARY", "not primary brick area"),
    ("BRIGHT", "bright star nearby"),
    ("SATUR_G", "g band saturated"),
    ("SATUR_R", "r band saturated"),
    ("SATUR_Z", "z band saturated"),
    ("ALLMASK_G", "any ALLMASK_G bit set"),
    ("ALLMASK_R", "any ALLMASK_R bit set"),
    ("ALLMASK_Z", "any ALLMASK_Z bit set"),
    ("WISEM1", "WISE W1 (all masks)"),
    ("WISEM2", "WISE W2 (all masks)"),
    ("BAILOUT", "bailed out of processing"),
    ("MEDIUM", "medium-bright star"),
    ("GALAXY", "large galaxy"),
    ("CLUSTER", "globular cluster"),
    ("SATUR_I", "i band saturated"),
    ("ALLMASK_I", "any ALLMASK_I bit set"),
    ("SUB_BLOB", "large blobs broken up"),
    ("RESOLVED", "local dwarf galaxy"),
    ("MCLOUDS", "Magellanic Cloud"),
    ("WISE_GAIA", "WISE at Gaia stars only"),
)
"""Names and meanings of the bits of maskbits, from bit 0 on; earlier releases have the first of them."""

BITS = {name: 1 << bit for bit, (name, _) in enumerate(MASKBITS)}


@dataclass(frozen=True)
class Release:
    """Layout of a release.

    bands : by region, in the survey's order
    mask_type : of the pixels of maskbits
    mask_bits : how many of MASKBITS it has
    numbered : card that gives the name of a bit, by its number
    valued : card that gives the value of a bit, by its name
    kinds : what the latter call SATUR and ALLMASK
    named_hdus : whether images have an EXTNAME
    weight_dither : how invvar is rounded (fitsio's qmethod)
    pipeline_sums : whether the sha256sum file is legacypipe's own, under tractor/
    """

    bands: Mapping[str, tuple[str, ...]]
    mask_type: type[np.signedinteger]
    mask_bits: int
    numbered: str
    valued: str
    kinds: tuple[str, str]
    named_hdus: bool
    weight_dither: str
    pipeline_sums: bool

    def name_bits(self, header: fits.Header) -> None:
        """Append the cards that name the bits of maskbits."""
        for bit, (name, meaning) in enumerate(MASKBITS[: self.mask_bits]):
            saturated, masked = self.kinds
            key = self.valued.format(name.replace("SATUR", saturated).replace("ALLMASK", masked))
            header[key if len(key) <= 8 else f"HIERARCH {key}"] = (1 << bit, f"maskbits: {meaning}")
        for bit, (name, meaning) in enumerate(MASKBITS[: self.mask_bits]):
            header[self.numbered.format(bit)] = (name, f"maskbits bit {bit}: {meaning}")


GRZ, GRIZ = ("g", "r", "z"), ("g", "r", "i", "z")
BOTH = {"north": GRZ, "south": GRZ}
DITHERED, PLAIN = "SUBTRACTIVE_DITHER_2", "NO_DITHER"

CUT, WHOLE = ("SAT", "ALL"), ("SATUR", "ALLMASK")

RELEASES = {
    "dr8": Release(BOTH, np.int16, 14, "BITNM{}", "{}", ("SATUR", "ALLM"), False, DITHERED, False),
    "dr9": Release(BOTH, np.int16, 14, "MBIT_{}", "MB_{}", CUT, False, PLAIN, False),
    "dr10": Release({"south": GRIZ}, np.int32, 17, "MBIT_{}", "MB_{}", CUT, False, PLAIN, False),
    "dr11": Release(
        {"north": GRZ, "south": GRIZ}, np.int32, 20, "MBIT_{}", "MB_{}", WHOLE, True, PLAIN, True
    ),
}
"""DR10 has no north of its own: there DR9 holds."""

STEP_QUANTUM = 16
"""Rounding of invvar: this part of its noise within a tile (fitsio's qlevel)."""


def packed(data: np.ndarray, kind: str, release: Release) -> dict[str, object]:
    """How `io.write_compressed` packs an image as the release does; kind : image, invvar or maskbits."""
    tile = tuple(_tile(length) for length in data.shape)
    if kind == "maskbits":
        return {"compress": "HCOMPRESS", "tile_dims": tile}
    how = {"qlevel": -1e-4, "qmethod": DITHERED}
    if kind == "invvar":
        how = {"qlevel": STEP_QUANTUM, "qmethod": release.weight_dither}
    return {"compress": "RICE", "tile_dims": tile, "dither_seed": "checksum", **how}


def _tile(length: int) -> int:
    """Edge of a compression tile: 100 pixels, or so many more that the last tile has none or at least 4."""
    return next((edge for edge in range(100, length) if length % edge not in (1, 2, 3)), length)
