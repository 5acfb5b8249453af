"""Bricks of the sky and stacks of one's own: the main workflow, and on demand the survey figure (target `dr8_figure`).

in   config of the main workflow
out  all that the main workflow makes
     <results>/dr8-<brick>.png, .ecsv     raw above denoised (Fig. 11), and what was done to the pixels, in numbers
"""

from skydenoise.run import read_run


module skydenoise:
    snakefile:
        "../../../workflow/Snakefile"
    config:
        config


use rule * from skydenoise


try:
    RUN = read_run(config)
except SettingsError as error:
    raise WorkflowError(f"config: {error}") from None


rule dr8_brick:
    """The paper's Fig. 11 of one brick, and its claims in numbers."""
    input:
        manifests=expand(
            f"{RESULTS}/predict/{{chunk}}.tsv", chunk=RUN.chunks["predict"]
        ),
    output:
        picture=report(
            f"{RESULTS}/dr8-{{brick}}.png",
            caption="../report/dr8.rst",
            category="Pictures",
            labels={"brick": "{brick}", "view": "raw and denoised, by band"},
        ),
        measures=f"{RESULTS}/dr8-{{brick}}.ecsv",
    log:
        f"{RESULTS}/logs/dr8-{{brick}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/dr8-{{brick}}.tsv"
    conda:
        CPU
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        bands=RUN.bands,
        cache=str(RUN.cache),
        root=RESULTS,
        credit=RUN.credit,
    script:
        "../scripts/dr8_brick.py"


localrules:
    dr8_figure,


rule dr8_figure:
    """On demand: the figure of the bricks that the run evaluates."""
    input:
        expand(rules.dr8_brick.output, brick=RUN.evaluated),
