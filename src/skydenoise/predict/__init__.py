"""Prediction: the composition for one brick, and chunks of many, several at a time.

`denoise` does one brick, `pipeline` a chunk; `uncertainty` gives each pixel its sigma,
`calibrate` measures it.
"""

from skydenoise.predict.denoise import Denoiser, denoise_brick, load_denoiser
from skydenoise.predict.pool import Chunk, crew_for, predict_bricks

__all__ = [
    "Chunk",
    "Denoiser",
    "crew_for",
    "denoise_brick",
    "load_denoiser",
    "predict_bricks",
]
