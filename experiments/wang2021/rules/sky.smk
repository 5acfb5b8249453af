"""Bricks of the sky and stacks of one's own: the main workflow, and on demand the survey figure (target `dr8_figure`).

in   config of the main workflow
out  all that the main workflow makes
     <results>/dr8-<brick>.png, .ecsv     raw above denoised (Fig. 11), and what was done to the pixels, in numbers
"""

from skydenoise.survey.bricks_table import read_bricks_table, sample


module skydenoise:
    snakefile:
        "../../../Snakefile"
    config:
        config


use rule * from skydenoise


def evaluated():
    """The bricks that the run evaluates."""
    survey_names = config["survey"].get("source") != "files"
    rows = read_bricks_table(Path(config["bricks"]), survey_names=survey_names)
    return sample(
        [row.brick for row in rows if row.predict],
        config.get("evaluate", {}).get("bricks", 8),
    )


CACHE = (
    f"{RESULTS}/raw"
    if config["survey"].get("source") == "simulation"
    else config["survey"].get("cache", "raw")
)


rule dr8_brick:
    """The paper's Fig. 11 of one brick, and its claims in numbers."""
    input:
        manifests=rules.summary.input.predicted,
    output:
        picture=report(
            f"{RESULTS}/dr8-{{brick}}.png",
            caption="../report/dr8.rst",
            category="Pictures",
            labels={"brick": "{brick}", "view": "raw and restored, by band"},
        ),
        measures=f"{RESULTS}/dr8-{{brick}}.ecsv",
    log:
        f"{RESULTS}/logs/dr8-{{brick}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/dr8-{{brick}}.tsv"
    conda:
        CPU_ENVIRONMENT
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        bands=config["survey"].get("bands", ["g", "r", "z"]),
        cache=CACHE,
        root=RESULTS,
        credit=config.get("evaluate", {}).get("credit", ""),
    script:
        "../scripts/dr8_brick.py"


localrules:
    dr8_figure,


rule dr8_figure:
    """On demand: the figure of the bricks that the run evaluates."""
    input:
        expand(rules.dr8_brick.output, brick=evaluated()),
