"""Prediction: the composition for one brick, and the overlapped pipeline for many.

`denoise` does one brick, `pipeline` a chunk; `uncertainty` gives each pixel its sigma,
`calibrate` measures it.
"""

from skydenoise.predict.denoise import Denoiser, denoise_brick, load_denoiser
from skydenoise.predict.pipeline import predict_bricks

__all__ = ["Denoiser", "denoise_brick", "load_denoiser", "predict_bricks"]
