"""The measured noise: sigma, correlation, level per scale.

`model` holds and draws it, `measure` measures it on the training bricks, `brick_noise` on the brick at hand:
`sky` finds pixels without sources, `sky_sums` sums over them, `correlation` estimates from masked pixels.
`range` says for which noises a model holds.
"""

from skydenoise.noise.brick_noise import measure_brick_noise, without_background_level
from skydenoise.noise.measure import SkyOf, measure_noise, measure_survey_noise
from skydenoise.noise.model import NoiseModel
from skydenoise.noise.range import NoiseRange, neighbour_correlation

__all__ = [
    "NoiseModel",
    "NoiseRange",
    "SkyOf",
    "measure_brick_noise",
    "measure_noise",
    "measure_survey_noise",
    "neighbour_correlation",
    "without_background_level",
]
