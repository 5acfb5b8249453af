"""Measures against the sky as it truly is, which a simulation knows.

`known` reads a brick with its truth. `pixels` holds errors of pixels, how often sigma covers them, and the
simplest peer, `photometry` aperture fluxes and colours of sources, `stars` the shapes of stars, `summary` the
table for a terminal.
"""
