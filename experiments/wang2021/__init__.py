"""The experiments of Wang et al. (2021), run with the package's own network, training and prediction.

On frames: `settings` and `configuration` say what can be set, `frames` holds the data, `denoise` works on
them, `outcome` is what came out; `catalogue` lists the experiments, each with a module that simulates
(`glyphs`, `stem`, `lattice`, `tribolium`) and one that reports. `baselines` learn beside them. On bricks of
the sky: `dr8`.
"""
