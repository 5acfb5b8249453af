"""The table of methods against the truth, for a person at a terminal."""

import numpy as np
from astropy.table import Table

SNR_ABOVE = 20.0
"""The flux bias is that of apertures with a signal-to-noise ratio above this one."""


def summary(quality: Table, photometry: Table) -> str:
    """Plain text of quality.ecsv and photometry.ecsv."""
    if len(quality) == 0:
        return "No brick with a known truth was evaluated."
    columns = "{:<5} {:<10} {:>15} {:>15} {:>17} {:>17} {:>8}".format
    bias = f"flux bias S/N>{SNR_ABOVE:g}"
    lines = [columns("band", "method", "error", "sky rms", "background", bias, "sources")]
    lines.append(columns("", "", "sigma", "sigma", "1e-4 nMgy", "per cent", "").rstrip())
    above = photometry[(photometry["binned_by"] == "snr_above") & (photometry["low"] == SNR_ABOVE)]
    fluxes = {(row["method"], row["band"]): row for row in above}
    for row in quality:
        flux = fluxes.get((row["method"], row["band"]))
        bias, sources = ("-", 0) if flux is None else (_pair(flux, "bias_percent", 2), flux["sources"])
        pixels = _pair(row, "error", 3), _pair(row, "sky_rms", 3), _pair(row, "background", 2, 1e4)
        lines.append(columns(row["band"], row["method"], *pixels, bias, sources))
    return "\n".join(lines)


def _pair(row: Table.Row, name: str, digits: int, unit: float = 1.0) -> str:
    value, error = unit * row[name], unit * row[f"{name}_err"]
    return "-" if np.isnan(value) else f"{value:.{digits}f} +- {error:.{digits}f}"
