"""Measurements of quality, each with its table beside it, and pictures.

`run` takes the bricks of a run to tables. Its rooms, from low to high:

truth       errors of pixels, fluxes, colours and star shapes against a simulated sky
detection   sources that are found with the matched filter and in denoised images: purity, completeness, depth
injection   sources that are put into the input and measured in what the denoiser makes of it
residual    what was taken away against the noise, seams of tiles and bricks, Stein's estimate of the error
figures     plots of the tables, bricks before and after

All rooms share `images`, `aperture`, `psf`, `statistics`, `fluxes` (ratios of fluxes in bins) and `tables`.
"""
