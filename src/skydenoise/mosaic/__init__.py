"""Many bricks on one WCS.

`mosaic` makes one band, `coadd` one block of it; `settings` is light: Snakemake imports it while it parses.
"""
