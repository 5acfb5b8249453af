"""What denoising did to the pixels and to the photometry, measured and drawn.

in   <results>/coadd/ and the input bricks of a sample
out  <results>/evaluation/residual.ecsv, residual.png
     <results>/evaluation/{injection,leak,seams,risk,aperture}.ecsv, injection.png
     <results>/evaluation/pictures/<brick>-<view>.png, overview.rst

What needs the truth is measured in simulate.smk. All pictures are in the report.
"""

EVALUATION = f"{RESULTS}/evaluation"


rule evaluate_residual:
    """Is what was taken away noise? Its mean, rms, correlation and spectrum against the measured noise."""
    input:
        manifests=predicted(RUN.evaluated),
        description=MODEL["description"],
    output:
        table=f"{EVALUATION}/residual.ecsv",
        plot=report(
            f"{EVALUATION}/residual.png",
            caption="../report/residual.rst",
            category="Quality",
            labels={"what": "residual against the noise"},
        ),
    log:
        f"{RESULTS}/logs/evaluate_residual.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_residual.tsv"
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
        "../scripts/evaluate_residual.py"


rule evaluate_denoiser:
    """Sources put in and measured, steps at tiles and bricks, Stein's error: the denoiser runs again."""
    input:
        **MODEL,
        manifests=predicted(RUN.evaluated),
        uncertainty=rules.calibrate.output.uncertainty,
    output:
        tables=expand(
            f"{EVALUATION}/{{table}}.ecsv",
            table=[
                "injection",
                "leak",
                "seams",
                "risk",
                "aperture",
            ],
        ),
        plot=report(
            f"{EVALUATION}/injection.png",
            caption="../report/injection.rst",
            category="Quality",
            labels={"what": "injected sources measured"},
        ),
    log:
        f"{RESULTS}/logs/evaluate_denoiser.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_denoiser.tsv"
    conda:
        CPU
    threads: 8
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        bricks=RUN.evaluated,
        cache=CACHE,
        predict=plain(RUN.predict),
        settings=plain(RUN.evaluate),
        version=VERSION,
    script:
        "../scripts/evaluate_denoiser.py"


rule pictures:
    """Before and after, as colour pictures that use the same scale for both."""
    input:
        manifests=predicted(RUN.evaluated),
    output:
        folder=report(
            directory(f"{EVALUATION}/pictures"),
            patterns=["{brick}-{view}.png"],
            caption="../report/pictures.rst",
            category="Pictures",
            labels={"brick": "{brick}", "view": "{view}"},
        ),
    log:
        f"{RESULTS}/logs/pictures.log",
    benchmark:
        f"{RESULTS}/benchmarks/pictures.tsv"
    conda:
        CPU
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        bricks=RUN.evaluated,
        bands=RUN.bands,
        cache=CACHE,
        credit=RUN.credit,
        version=VERSION,
    script:
        "../scripts/pictures.py"


rule overview:
    """What came out, in ten lines, for the first page of the report."""
    input:
        summary=rules.summary.output.summary,
        tables=[
            rules.evaluate_residual.output.table,
            rules.evaluate_denoiser.output.tables,
            rules.evaluate_truth.output.tables if RUN.simulation else [],
        ],
    output:
        overview=report(f"{EVALUATION}/overview.rst", category="Overview"),
    log:
        f"{RESULTS}/logs/overview.log",
    benchmark:
        f"{RESULTS}/benchmarks/overview.tsv"
    localrule: True
    conda:
        CPU
    params:
        version=VERSION,
    script:
        "../scripts/overview.py"


PRODUCTS += [
    rules.overview.output,
    rules.evaluate_residual.output,
    rules.evaluate_denoiser.output,
    rules.pictures.output,
]
