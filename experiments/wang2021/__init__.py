"""The experiments of Wang et al. (2021), run again with the package's own network, training and prediction.

`settings` says what can be set and what an experiment draws (light: Snakemake imports it while it parses);
`experiment` is the contract between an experiment and the workflow, `catalogue` lists the experiments.
"""
