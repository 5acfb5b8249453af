"""Sources that are found in images, and what of them is true.

`matched` filters images for point sources, `detect` says where a brick is searched, what is there, and finds
local maxima, `matches` compares them with the truth, `tables` gives purity, completeness and depth, `dual`
measures fluxes where sources are found.
"""
