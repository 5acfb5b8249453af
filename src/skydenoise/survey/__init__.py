"""Choose bricks from the survey's own tables.

`region` says where (light: Snakemake imports it while it parses), `tables` finds the bricks.
"""
