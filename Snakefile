"""skydenoise: noisy survey bricks in, denoised bricks, mosaics and their measured quality out."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


container: "skydenoise.sif"  # for --sdm apptainer only; envs/skydenoise.def makes it


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/frames.smk" if STACKS else "workflow/rules/patches.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/mosaic.smk"
include: "workflow/rules/evaluate.smk"


localrules:
    all,
    retry_skipped,
    summary,


rule all:
    """Everything: denoised bricks, mosaics, evaluation, the list of what was skipped; or denoised stacks."""
    default_target: True
    input:
        products(),


onsuccess:
    print_summary()
