"""The celestial WCS of an image, checked: whoever holds one can put pixels on the sky."""

import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

LARGEST_PIXEL, SMALLEST_PIXEL = 90.0, 1e-12
"""Degrees along the longer and the shorter side of a pixel: beyond them a matrix is damaged."""

MOST_ELONGATED = 1000.0
"""Ratio of a pixel's sides beyond which its matrix is as good as singular."""


def celestial_wcs(header: fits.Header) -> WCS:
    """WCS of the first two axes of a header, with SIP and other distortions.

    Raises ValueError, in one line, if there is none, its axes are not celestial, its projection is unknown,
    its matrix is singular, or it needs a lookup table that no header holds.
    """
    needed = ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2")
    if missing := [key for key in needed if key not in header]:
        raise ValueError(f"{', '.join(missing)} missing")
    if not {"CD1_1", "CD1_2", "PC1_1", "PC1_2", "CDELT1"} & set(header):
        raise ValueError("CD1_1, PC1_1 and CDELT1 missing")
    if not all(isinstance(header[key], int | float) and np.isfinite(header[key]) for key in needed[2:]):
        raise ValueError(f"{', '.join(needed[2:])} are not all finite numbers")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old spellings of dates and frames
            wcs = WCS(header, naxis=2)  # without naxis, astropy mends a singular matrix
            middle = wcs.all_pix2world([wcs.wcs.crpix], 1)[0]
    except Exception as error:  # wcslib's and astropy's, of many kinds
        lines = [line for line in str(error).split("\n") if not line.startswith("ERROR")]  # a place in wcslib
        raise ValueError(" ".join(" ".join(lines).split()) or type(error).__name__) from error
    if not wcs.has_celestial:
        raise ValueError(f"axes {header['CTYPE1']} {header['CTYPE2']} are not celestial")
    longer, shorter = np.linalg.svd(wcs.pixel_scale_matrix, compute_uv=False)
    if not shorter * MOST_ELONGATED > longer:
        raise ValueError("its matrix is singular")
    if longer > LARGEST_PIXEL or shorter < SMALLEST_PIXEL:
        raise ValueError(f"pixels of {longer:.3g} x {shorter:.3g} degrees")
    if not (np.isfinite(middle).all() and np.abs(middle).max() <= 720):
        raise ValueError(f"the reference pixel lies at {middle.tolist()}, which is no place on the sky")
    return wcs


def grid_distance(first: WCS, other: WCS, shape: tuple[int, int]) -> float:
    """Largest distance between the pixels of one place in two grids, over 5x5 places of the first grid.

    In pixels of `other`; infinite if a place has no pixel there. `shape` of the first grid is (y, x).
    """
    y, x = np.meshgrid(*(np.linspace(0, length - 1, 5) for length in shape), indexing="ij")
    x_other, y_other = other.all_world2pix(*first.all_pix2world(x, y, 0), 0, quiet=True)
    distance = np.hypot(x_other - x, y_other - y)
    return float(distance.max()) if np.isfinite(distance).all() else float("inf")
