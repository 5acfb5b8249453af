"""Sources of known flux, put into the input and measured in what the denoiser makes of it; needs no truth.

`inject` draws them, puts them into a brick and measures them, `rounds` does so until there are enough,
`tables` lists fluxes and leaks.
"""
