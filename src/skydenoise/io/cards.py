"""Headers of products: the survey's cards, then what was done."""

import textwrap
from collections.abc import Mapping

from astropy.io import fits

from skydenoise import __version__
from skydenoise.paths import hdu_name

CARDS = {
    "version": ("SDVERS", "skydenoise version"),
    "model": ("SDMODEL", "sha256 of the model's weights"),
    "key": ("SDKEY", "digest of model, settings and input"),
    "unmasked": ("SDUNMASK", "bits that maskbits lack"),
    "bands": ("SDBANDS", "bands that the brick has"),
    "together": ("SDJOINT", "bands denoised jointly or separately"),
    "tile": ("SDTILE", "[pixel] edge of a tile"),
    "overlap": ("SDOVERL", "[pixel] overlap of tiles"),
    "precision": ("SDPREC", "precision of factors in convolutions"),
    "recover": ("SDRECOV", "thresholds per starlet scale, or no"),
    "background": ("SDBACKG", "keep or remove light on large scales"),
    "sigma": ("SDSIGMA", "what sigma rests on"),
    "noise": ("SDNOISE", "sky noise in units of BUNIT, by band"),
    "correlation": ("SDCORR", "of neighbours' noise, by band"),
    "level": ("SDLEVEL", "background level in units of BUNIT, by band"),
}
"""Provenance entry -> keyword and comment of its card."""

CARD = 80
"""Characters of a card; a comment that a long value leaves no room for is left out."""


def as_product(header: fits.Header, kind: str, unit: str | None, band: str | None = None) -> fits.Header:
    """Copy of an image's header for another kind of image, with its own EXTNAME; `unit` None: a bit mask."""
    product = header.copy()
    product["EXTNAME"] = hdu_name(kind, band)
    for keyword in ("IMTYPE", "PRODTYPE"):
        if keyword in product:
            product[keyword] = kind
    if unit is None:
        for keyword in ("BUNIT", "MAGZERO"):
            product.remove(keyword, ignore_missing=True)
    elif "BUNIT" in product:
        product["BUNIT"] = unit
    return product


def inverse_square(unit: str) -> str:
    """Unit of the inverse variance of pixels in `unit`, as the survey writes it: 1/nanomaggy^2."""
    return f"1/{unit}^2" if unit.isalnum() else f"1/({unit})^2" if unit else ""


def with_provenance(
    header: fits.Header, kind: str, provenance: Mapping[str, str | int | float]
) -> fits.Header:
    """Copy of `header` with what was done at its end."""
    marked = header.copy()
    entries = {"product": kind, "version": __version__, **provenance}
    for entry, value in entries.items():
        keyword, comment = CARDS.get(entry, (f"SD{entry.upper()[:6]}", ""))
        marked.remove(keyword, ignore_missing=True, remove_all=True)
        fits_in = len(fits.Card(keyword, value).image.rstrip()) + len(comment) + 3 <= CARD
        marked.append((keyword, value, comment if fits_in else ""), bottom=True)
    text = f"skydenoise {__version__} made this: " + ", ".join(
        f"{entry} {value}" for entry, value in entries.items() if entry != "version"
    )
    for line in textwrap.wrap(text, 72):  # what one card holds
        marked.append(("HISTORY", line), bottom=True)
    return marked
