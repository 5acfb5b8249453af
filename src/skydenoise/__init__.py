"""Self-supervised denoising of survey images that keeps calibrated fluxes (Wang et al. 2021)."""

__version__ = "0.2.0"
