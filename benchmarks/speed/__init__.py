"""Speed, side by side with peers: `python -m benchmarks.speed.cpu` and `python -m benchmarks.speed.gpu`.

`scales` says how large, `measure` how time and memory are taken, `inputs` makes bricks and a model;
`prediction`, `training`, `kernels`, `overhead` and `limits` measure.
"""
