"""The workflow, from the root of a clone: `snakemake --cores all`, or `snakemake --profile slurm` on a cluster."""


include: "workflow/Snakefile"


use rule all as everything
