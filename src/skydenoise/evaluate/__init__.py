"""Measurements of quality, and pictures. `run` takes the bricks of a run to the tables of `tables.yaml`.

- truth: a brick with its simulated sky (`known`): errors of pixels, fluxes and colours, shapes of stars
- detection: the matched filter (`matched`), detections (`detect`), which are true (`matches`): purity,
  completeness, depth (`tables`), and fluxes measured where sources are found (`dual`)
- injection: sources put into the input (`inject`, `rounds`), measured in what the denoiser makes of it
- residual: what was taken away against the noise (`whiteness`), steps at borders of tiles (`seams`),
  Stein's estimate of the error
- figures: plots of the tables; bricks before and after, coloured by `colour`, at the places of `zones`

All share `images`, `aperture`, `psf`, `statistics`, `fluxes` (ratios of fluxes in bins) and `tables`.
"""
