"""A small survey with known truth, in the survey's own layout, and denoised bricks held against that truth.

in   config: simulation
out  <results>/survey/...     a mirror on disk, fetched from like the real one
     <results>/truth/...      noise-free images and a catalogue of sources for each brick
     <results>/evaluation/{quality,photometry,colours,coverage,detection,completeness,purity,stars}.ecsv
     <results>/evaluation/{photometry,detection}.png
"""


rule simulate_tables:
    """The survey's tables of bricks, which `choose_bricks` reads."""
    output:
        [RUN.survey.all_bricks, RUN.survey.region_bricks],
    log:
        f"{RESULTS}/logs/simulate/tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate/tables.tsv"
    conda:
        CPU
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=plain(RUN.simulation),
        version=VERSION,
    script:
        "../scripts/simulate_tables.py"


rule simulate_brick:
    """One brick of the common sky: galaxies, stars, saturated stars, masks, correlated noise."""
    output:
        # {sky} is the AAA of the survey's folders, which follows from the brick's name
        catalogue=f"{RESULTS}/truth/{{sky}}/{{brick}}/truth-{{brick}}.ecsv",
        maskbits=f"{RUN.survey.root}/coadd/{{sky}}/{{brick}}/legacysurvey-{{brick}}-maskbits.fits.fz",
    log:
        f"{RESULTS}/logs/simulate/{{sky}}/{{brick}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate/{{sky}}/{{brick}}.tsv"
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=plain(RUN.simulation),
        version=VERSION,
    script:
        "../scripts/simulate_brick.py"


rule evaluate_truth:
    """Errors, photometry, detections, shapes and claimed uncertainties against the simulated truth."""
    input:
        manifests=predicted(RUN.evaluated),
        truth=truths(RUN.evaluated),
        description=MODEL["description"],
    output:
        tables=expand(
            f"{RESULTS}/evaluation/{{table}}.ecsv",
            table=[
                "quality",
                "photometry",
                "colours",
                "coverage",
                "detection",
                "completeness",
                "purity",
                "stars",
            ],
        ),
        plot=report(
            f"{RESULTS}/evaluation/photometry.png",
            caption="../report/photometry.rst",
            category="Quality",
            labels={"what": "flux bias by magnitude"},
        ),
        detection=report(
            f"{RESULTS}/evaluation/detection.png",
            caption="../report/detection.rst",
            category="Quality",
            labels={"what": "completeness and purity"},
        ),
    log:
        f"{RESULTS}/logs/evaluate_truth.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_truth.tsv"
    conda:
        CPU
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        bricks=RUN.evaluated,
        cache=CACHE,
        version=VERSION,
    script:
        "../scripts/evaluate_truth.py"


PRODUCTS.append(rules.evaluate_truth.output)
