"""A small survey with known truth, in the survey's own layout.

`plan` says what is simulated (light: no GalSim), `sky` draws the sources, `scene` the noise-free image,
`camera` what the telescope makes of it, `survey` the files, in the layout of one of the `releases`.
"""

from skydenoise.simulate.plan import BANDS, BrickField, SimulationSettings, brick_field, brick_names

__all__ = ["BANDS", "BrickField", "SimulationSettings", "brick_field", "brick_names"]
