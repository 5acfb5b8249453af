"""What denoising did to the pixels and to the photometry, measured and drawn.

in   <results>/coadd/ and the input bricks of a sample; the truth, where it is known
out  <results>/evaluation/residual.ecsv                                             without truth
     <results>/evaluation/{injection,injected_colours,leak,seams,overlaps,risk}.ecsv   without truth, denoising again
     <results>/evaluation/{quality,photometry,colours,coverage}.ecsv, summary.txt   against the truth
     <results>/evaluation/{detection,completeness,purity,stars}.ecsv                against the truth
     <results>/evaluation/pictures/<brick>-<view>.png and the plots, all of them in the report
"""

EVALUATION = f"{RESULTS}/evaluation"


rule evaluate_residual:
    """Is what was taken away noise? Its mean, rms, correlation and spectrum against the measured noise."""
    input:
        manifests=predicted(EVALUATED),
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
        CPU_ENVIRONMENT
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        bricks=EVALUATED,
        cache=CACHE,
        root=ROOT,
        recorded=recorded(),
    script:
        "../scripts/evaluate_residual.py"


rule evaluate_denoiser:
    """Sources put in and recovered, steps at tiles and bricks, Stein's error: the denoiser runs again."""
    input:
        **MODEL,
        manifests=predicted(EVALUATED),
        uncertainty=rules.calibrate.output.uncertainty,
    output:
        tables=expand(
            f"{EVALUATION}/{{table}}.ecsv",
            table=[
                "injection",
                "injected_colours",
                "leak",
                "seams",
                "overlaps",
                "risk",
            ],
        ),
        plot=report(
            f"{EVALUATION}/injection.png",
            caption="../report/injection.rst",
            category="Quality",
            labels={"what": "injected sources recovered"},
        ),
    log:
        f"{RESULTS}/logs/evaluate_denoiser.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_denoiser.tsv"
    conda:
        GPU_ENVIRONMENT
    threads: WHOLE_MACHINE
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        bricks=EVALUATED,
        cache=CACHE,
        root=ROOT,
        predict=PREDICT,
        settings=EVALUATE,
        recorded=recorded(PREDICT, EVALUATE),
    script:
        "../scripts/evaluate_denoiser.py"


rule evaluate_truth:
    """Errors, photometry, detections, shapes and claimed uncertainties against the simulated truth."""
    input:
        manifests=predicted(EVALUATED),
        truth=simulated(EVALUATED),
        description=MODEL["description"],
    output:
        tables=expand(
            f"{EVALUATION}/{{table}}.ecsv",
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
        summary=f"{EVALUATION}/summary.txt",
        plot=report(
            f"{EVALUATION}/photometry.png",
            caption="../report/photometry.rst",
            category="Quality",
            labels={"what": "flux bias by magnitude"},
        ),
        detection=report(
            f"{EVALUATION}/detection.png",
            caption="../report/detection.rst",
            category="Quality",
            labels={"what": "completeness and purity"},
        ),
    log:
        f"{RESULTS}/logs/evaluate_truth.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_truth.tsv"
    conda:
        CPU_ENVIRONMENT
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        bricks=EVALUATED,
        cache=CACHE,
        root=ROOT,
        recorded=recorded(),
    script:
        "../scripts/evaluate_truth.py"


rule pictures:
    """Before and after, as colour pictures that use the same scale for both."""
    input:
        manifests=predicted(EVALUATED),
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
        CPU_ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        bricks=EVALUATED,
        bands=BANDS,
        cache=CACHE,
        root=ROOT,
        credit=CREDIT,
        recorded=recorded(),
    script:
        "../scripts/pictures.py"


rule training_curve:
    """Loss on the training patches and on the held-out ones, by epoch."""
    input:
        curve=f"{RESULTS}/logs/training.csv",
    output:
        plot=report(
            f"{EVALUATION}/training.png",
            caption="../report/training.rst",
            category="Training",
            labels={"what": "training curve"},
        ),
    log:
        f"{RESULTS}/logs/training_curve.log",
    benchmark:
        f"{RESULTS}/benchmarks/training_curve.tsv"
    conda:
        CPU_ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    script:
        "../scripts/training_curve.py"
