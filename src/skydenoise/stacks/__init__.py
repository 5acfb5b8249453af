"""Stacks of frames: TIFF, NPY, MRC, HDF5 and FITS cubes, one frame at a time in memory.

`stack` reads and `writer` writes what came in; `containers` knows the files, `axes` what their axes mean,
`rawfile` pixels that lie in a row. `frames` makes a brick of a frame, `scale` measures level and spread.
`formats` says which files are stacks (light: Snakemake imports it while it parses).
"""
