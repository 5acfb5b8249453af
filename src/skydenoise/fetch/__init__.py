"""Download, verify, resume.

`bricks` fetches a chunk of bricks, `download` single files, `fitscheck` tells whole files from broken ones.
"""
