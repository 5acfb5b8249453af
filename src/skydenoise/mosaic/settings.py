"""Settings of a mosaic; light enough to import while Snakemake parses."""

from dataclasses import dataclass
from pathlib import Path

from skydenoise.errors import SettingsError


@dataclass(frozen=True)
class MosaicSettings:
    """How a mosaic is made.

    wcs : FITS header as text with the output's WCS, NAXIS1 and NAXIS2; None finds the best common one
    pixel_scale : arcsec per pixel of the common WCS; None takes the finest of the inputs
    order : of the interpolation, "bicubic" (keeps peaks and noise best) or "bilinear"
    block : edge of the blocks in pixels; memory grows with its square (1000: 0.3 GB)
    workers : processes that work on blocks at once
    """

    wcs: Path | None = None
    pixel_scale: float | None = None
    order: str = "bicubic"
    block: int = 1000
    workers: int = 1

    def __post_init__(self) -> None:
        if self.wcs is not None:
            object.__setattr__(self, "wcs", Path(self.wcs))
        if self.order not in ("bicubic", "bilinear"):
            raise SettingsError(f"mosaics: order {self.order!r} is not 'bicubic' or 'bilinear'")
        if self.pixel_scale is not None and not self.pixel_scale > 0:
            raise SettingsError(f"mosaics: pixel_scale {self.pixel_scale} is not above 0")
        if self.pixel_scale is not None and self.wcs is not None:
            raise SettingsError("mosaics: wcs already fixes the pixels; give it or pixel_scale, not both")
        for key in ("block", "workers"):
            if getattr(self, key) < 1:
                raise SettingsError(f"mosaics: {key} {getattr(self, key)} is below 1")
