"""Measures against the sky as it truly is, which a simulation knows.

`known` reads a brick with its truth, `smoothing` makes the simplest peer. `pixels` holds errors of pixels and
how often sigma covers them, `catalogue` aperture fluxes of sources, `photometry` their bias and scatter,
`stars` the shapes of stars, `summary` the table for a terminal.
"""
