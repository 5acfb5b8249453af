"""The measured noise: sigma, correlation, level per scale.

`model` measures and draws it, `sky` finds pixels without sources, `correlation` estimates from masked pixels.
"""

from skydenoise.noise.model import NoiseModel, measure_noise

__all__ = ["NoiseModel", "measure_noise"]
