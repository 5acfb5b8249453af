"""Notes of tables.yaml say the numbers that the code has."""

import pytest

from skydenoise.evaluate.aperture import RADIUS
from skydenoise.evaluate.detection import detect, matches
from skydenoise.evaluate.detection.matched import LEAST_WEIGHT
from skydenoise.evaluate.detection.tables import PURITY, STEP
from skydenoise.evaluate.injection.inject import DETECTION_RADIUS
from skydenoise.evaluate.injection.rounds import RATE
from skydenoise.evaluate.psf import GAUSSIAN_FWHM, STAMP
from skydenoise.evaluate.residual.seams import LEAST_SHARE
from skydenoise.evaluate.residual.whiteness import FAINT_BELOW
from skydenoise.evaluate.tables import declared_table
from skydenoise.evaluate.truth import photometry, pixels, stars

NUMBERS = [
    ("quality", "sky", f"below {pixels.SKY_BELOW:g} sigma"),
    ("coverage", "zones", f"below {pixels.BLANK_BELOW:g} times the noise"),
    ("coverage", "zones", f"up to {pixels.DISTINCT_ABOVE:g};"),
    ("photometry", "F", f"circle of {RADIUS:g} pixels"),
    ("photometry", "dual", f"threshold of {PURITY:.0%} purity".replace("%", " %")),
    ("photometry", "isolated", f"more than {photometry.NEIGHBOUR_FLUX:g} of the flux"),
    ("photometry", "isolated", f"within {2 * RADIUS:g} pixels"),
    ("photometry", "isolated", f"at most {photometry.CONTAMINATION:g} times"),
    ("stars", "stars", f"above {stars.LEAST_SNR:g},"),
    ("stars", "stars", f"within {STAMP} along both axes"),
    ("stars", "fwhm", f"{GAUSSIAN_FWHM:g} times"),
    ("detection", "true", f"at least {matches.TRUE_FLOOR:g} lies within {matches.MATCH_RADIUS:g} pixels"),
    ("detection", "counted detections", f"above {detect.BRIGHT:g} sigma"),
    ("detection", "counted sources", f"within {matches.BLEND_RADIUS:g} pixels"),
    ("detection", "counted sources", f"below {matches.TRUE_FLOOR:g} is not found"),
    ("detection", "searched", f"{100 * LEAST_WEIGHT:g} % of the filter's"),
    ("detection", "searched", f"{detect.HALO_ARCSEC:g} * {detect.HALO_SLOPE:g}**-magnitude arcsec"),
    ("detection", "searched", f"brighter than {detect.HALO_MAGNITUDE:g},"),
    ("detection", "list", f"{100 * PURITY:g} % of the detections"),
    ("detection", "limit_mag", f"bins of {STEP:g} mag"),
    ("injection", "F", f"circle of {RADIUS:g} pixels"),
    ("injection", "detected", f"within {DETECTION_RADIUS:g} pixels"),
    ("injection", "detected", f"that {RATE:g} peaks per million pixels"),
    ("seams", "sky", f"less than {100 * LEAST_SHARE:g} per cent"),
    ("residual", "zone", f"below {FAINT_BELOW:g} sigma"),
]


@pytest.mark.parametrize(("table", "note", "words"), NUMBERS)
def test_a_note_says_the_number_of_the_code(table: str, note: str, words: str) -> None:
    assert words in declared_table(table, []).meta[note]
