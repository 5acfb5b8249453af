"""Images of other surveys, brought into the survey's layout (source: files).

`rows` reads the list (light: Snakemake imports it while it parses), `table` imports, `sourceimage` reads one
image, `align` puts bands on one grid.
"""
