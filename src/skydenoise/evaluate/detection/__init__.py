"""Sources that are found in images, and what of them is true.

`matched` filters images for point sources, `field` says where a brick is searched and what is there, `detect`
finds the local maxima in all images and in pure noise, `matches` compares them with the truth, `completeness`
gives thresholds and depths of that, `tables` lists them, `dual` measures fluxes where sources are found.
"""
