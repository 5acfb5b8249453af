"""Fidelity on a simulated sky that no training saw: our denoiser and its peers on the same pixels.

    python -m benchmarks.quality --noise decam      # one depth, every measure
    python -m benchmarks.quality.depths             # 1, 2, 3 and 7 passes side by side, four kinds of noise

`sky` makes the pixels and their truth; `product`, `classical` and `baselines` make images of them, which
`methods` puts together; `measure` turns images into measurements, and `injection_tests` runs the methods
again where that takes it; `acceptance` holds them against what was promised.
"""
