"""Level of correlated noise in each plane of the starlet transform (`skydenoise.starlet`)."""

import numpy as np

SPLINE = np.array([1, 4, 6, 4, 1]) / 16


def response(scales: int) -> list[np.ndarray]:
    """Impulse responses of the detail planes.

    Returns one (2 R + 1, 2 R + 1) float64 array per scale j, R = 2 (2**(j + 1) - 1), centred, summing to 0
    """
    filters, fine = [], np.ones(1)
    for scale in range(scales):
        taps = np.zeros(4 * 2**scale + 1)
        taps[:: 2**scale] = SPLINE
        coarse = np.convolve(fine, taps)
        inner = np.pad(np.outer(fine, fine), (len(coarse) - len(fine)) // 2)
        filters.append(inner - np.outer(coarse, coarse))
        fine = coarse
    return filters


def noise_levels(correlation: np.ndarray, scales: int) -> np.ndarray:
    """Rms of the starlet coefficients of unit-variance noise with a known correlation function.

    level_j**2 = sum over lags d of correlation(d) * (autocorrelation of the filter psi_j)(d).
    White noise gives 0.891, 0.201, 0.086, 0.041, 0.020 (Starck & Murtagh 2006, table of appendix A).

    correlation : (2 L + 1, 2 L + 1), 1 at the centre, taken as 0 beyond lag L; no unit
    scales : number of detail planes

    Returns (scales,) float64

    Raises ValueError: the shape is not square and odd, or no noise has such a correlation (its power at the
        frequencies of a scale is not positive)
    """
    size = correlation.shape[0]
    if correlation.shape != (size, size) or size % 2 == 0:
        raise ValueError(f"a correlation function of shape {correlation.shape} is not square and odd")
    levels = np.empty(scales)
    for scale, psi in enumerate(response(scales)):
        grid = psi.shape[0] + size  # no wrap at any lag of the correlation
        power = np.abs(np.fft.fft2(psi, (grid, grid))) ** 2
        autocorrelation = np.fft.ifft2(power).real
        lags = np.arange(size) - size // 2
        variance = np.sum(correlation * autocorrelation[np.ix_(lags, lags)])
        if not variance > 0:
            raise ValueError(f"the correlation function gives variance {variance:.3g} at scale {scale}")
        levels[scale] = np.sqrt(variance)
    return levels
