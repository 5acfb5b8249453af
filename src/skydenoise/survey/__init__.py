"""Choose bricks from the survey's own tables, and download them.

`region` says where, `choose` finds the bricks, `bricks_table` is the run's own table of them. `fetch` brings
their files by `download`, held against what `checks` knows of them; `refresh` finds what to fetch again.
"""
