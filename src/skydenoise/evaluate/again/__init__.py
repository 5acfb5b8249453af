"""What needs no truth, because the denoiser is run again; every measure takes any method.

`rerun` does it for a run: `injection` of sources (drawn by `sources`, chance peaks by
`false_peaks`, tables in `recovery`), `seams` of tiles, `overlaps` of bricks, and Stein's `risk`.
"""
