"""Sources of known flux, put into the input and measured in what the denoiser makes of it; needs no truth.

`sources` draws them, `inject` puts them into a brick and measures them, `rounds` does it until there are
enough, `tables` lists fluxes, colours and leaks.
"""
