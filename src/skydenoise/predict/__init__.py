"""Prediction: the composition for one brick, and chunks of many, several at a time.

`denoise` does one brick, `chunk` many; `uncertainty` gives each pixel its sigma, `calibrate` measures it.
"""

from skydenoise.predict.chunk import Chunk, predict_bricks
from skydenoise.predict.denoise import denoise_brick
from skydenoise.predict.denoiser import Denoiser, load_denoiser

__all__ = [
    "Chunk",
    "Denoiser",
    "denoise_brick",
    "load_denoiser",
    "predict_bricks",
]
