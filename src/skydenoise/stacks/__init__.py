"""Stacks of frames: TIFF, NPY, MRC, HDF5 and FITS cubes, one frame at a time in memory.

`stack` reads a frame, and writes a stack like another. The end of a file's name finds the module of its kind:
`tiff`, `mrc`, `hdf5`, `fits_cube`, and `pixels` for NPY. `axes` says what an array's axes mean. `table` finds
stacks in the user's table and checks them against the settings. `series` measures level and rms of frames and
cuts patches; `denoise` and `picture` are what is done with a model.
"""
