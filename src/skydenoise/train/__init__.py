"""Training: plain torch, on one process or many.

`loop` is the training from top to bottom, `job` says what to do (light: Snakemake imports it while it
parses). `training` holds what stays the same, `loader` brings patches, `pairs` makes input and target of them
with more noise of a `noise_family`, `loss` compares, `checkpoint` and `curve` write, `ranks` joins
processes.
"""
