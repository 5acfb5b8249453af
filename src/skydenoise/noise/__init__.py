"""The measured noise: sigma, correlation, level per scale.

`model` holds and draws it, `measure` measures it on bricks: `sky` finds pixels without sources, `tally` sums
over them, `correlation` estimates from masked pixels.
"""

from skydenoise.noise.measure import SkyOf, measure_noise, measure_survey_noise
from skydenoise.noise.model import NoiseModel

__all__ = ["NoiseModel", "SkyOf", "measure_noise", "measure_survey_noise"]
