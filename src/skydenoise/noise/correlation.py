"""Correlation functions of noise: sums over pairs of pixels, power spectrum, and what is a possible one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[Any]


def autocorrelation(values: Array, max_lag: int) -> Array:
    """Sum over p of values(p) values(p + d) for lags d = -max_lag..max_lag, no wrap: (2L+1, 2L+1) float64."""
    grid = [fft.next_fast_len(size + max_lag, real=True) for size in values.shape]
    spectrum = fft.rfft2(values, s=grid)
    full = fft.irfft2(spectrum.real**2 + spectrum.imag**2, s=grid)
    lags = np.arange(-max_lag, max_lag + 1)
    return np.asarray(full[np.ix_(lags, lags)], dtype=np.float64)


def power_spectrum(correlation: Array, height: int, width: int) -> Array:
    """Fourier transform of a point-symmetric correlation (..., 2L+1, 2L+1) at the frequencies of rfft2.

    Returns (..., height, width // 2 + 1) float64, as if the correlation were periodic on the grid.
    """
    lag = np.arange(correlation.shape[-1]) - correlation.shape[-1] // 2
    rows = np.exp(-2j * np.pi * np.outer(np.fft.fftfreq(height), lag))
    columns = np.exp(-2j * np.pi * np.outer(lag, np.fft.rfftfreq(width)))
    return np.asarray((rows @ correlation @ columns).real)


def valid_correlation(products: Array, pairs: Array) -> Array:
    """Correlation function of noise from sums of products over pairs of pixels.

    Beyond the last ring of lags where one stands out by 4 of its standard errors (Bartlett 1946: the variance
    of a correlation that is zero is sum(rho**2) / pairs) all is set to zero. What is left is brought to a
    function close by with a power spectrum that is nowhere negative, by projecting in turn.

    products, pairs : (2L+1, 2L+1), the central pixel the lag 0

    Returns (2L+1, 2L+1) float64, 1 at the centre, point-symmetric.
    """
    mean = products / np.maximum(pairs, 1)
    raw = mean / mean[pairs.shape[0] // 2, pairs.shape[1] // 2]
    raw = (raw + raw[::-1, ::-1]) / 2
    max_lag = raw.shape[0] // 2
    lag = np.abs(np.arange(-max_lag, max_lag + 1))
    ring = np.maximum(lag[:, None], lag)
    error = np.sqrt(np.sum(raw[ring <= 2] ** 2) / np.maximum(pairs, 1))
    significant = (np.abs(raw) > 4 * error) | (ring == 0)
    support = ring <= ring[significant].max()
    correlation = np.where(support, raw, 0)
    grid = 8 * raw.shape[0]
    lags = np.arange(-max_lag, max_lag + 1)
    for _ in range(100):
        power = power_spectrum(correlation, grid, grid)
        if power.min() >= 0:
            break
        projected = fft.irfft2(np.maximum(power, 0), s=(grid, grid))[np.ix_(lags, lags)]
        correlation = np.where(support, projected, 0) / projected[max_lag, max_lag]
    # What negative power remains is less than the projections can remove: white noise lifts it to zero.
    correlation[max_lag, max_lag] += max(0.0, -power.min())
    return np.asarray(correlation / correlation[max_lag, max_lag])
