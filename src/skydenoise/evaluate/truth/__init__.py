"""Measures against the sky as it truly is, which a simulation knows.

`known` reads a brick with its truth. `pixels` holds errors of pixels, how often sigma covers them, and the
simplest peer, `catalogue` aperture fluxes of sources, `photometry` their bias and scatter, `stars` the shapes
of stars, `summary` the table for a terminal.
"""
