"""Fidelity on a simulated sky that no training saw: our denoiser and its peers on the same pixels.

    python -m benchmarks.quality --noise decam

`sky` makes the pixels and their truth; `ours`, `classical` and `learned` make images of them (`lesson` is
what `noise2self` and `noise2void` learn from); `measure` turns images into figures and `rerun` runs the
methods again where that takes it; `bar` holds them against what was promised; `report` prints and writes.
"""
