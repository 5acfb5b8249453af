"""Every brick denoised: tiles through the network, blended, unstretched, significant detail recovered.

in   <results>/model/, <results>/fetch/predict-<chunk>.tsv and the bricks in the cache
out  <results>/coadd/<AAA>/<brick>/skydenoise-<brick>-{image,sigma}-<band>.fits.fz and -flags.fits.fz
     <results>/predict/<chunk>.tsv     what became of each brick of a chunk
     <results>/skipped.tsv             bricks that could not be done, and why
"""


rule predict:
    """One chunk, as many bricks at a time as threads."""
    input:
        **MODEL,
        fetched=f"{RESULTS}/fetch/predict-{{chunk}}.tsv",
        uncertainty=rules.calibrate.output.uncertainty,
    output:
        manifest=f"{RESULTS}/predict/{{chunk}}.tsv",
    log:
        f"{RESULTS}/logs/predict/{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict/{{chunk}}.tsv"
    conda:
        GPU_ENVIRONMENT
    threads: WHOLE_MACHINE
    resources:
        # a brick of 3600 x 3600 pixels in three bands takes 2.4 GB
        mem_mb=lambda wildcards, threads, attempt: attempt * 2400 * threads,
        runtime=growing(480),
    params:
        cache=CACHE,
        root=ROOT,
        settings=PREDICT,
        output=OUTPUT,
        recorded=recorded(PREDICT, OUTPUT),
    script:
        "../scripts/predict.py"


rule summary:
    """Which bricks were skipped, and why; how many were done."""
    input:
        fetched=fetched("train") + fetched("predict"),
        predicted=predicted(BRICKS["predict"]),
        # a plain path: beside a rule's output Snakemake looks up every file by the hash of them all
        patches=[] if PRETRAINED else [f"{RESULTS}/patches/bricks.tsv"],
    output:
        skipped=f"{RESULTS}/skipped.tsv",
        summary=f"{RESULTS}/summary.txt",
    log:
        f"{RESULTS}/logs/summary.log",
    benchmark:
        f"{RESULTS}/benchmarks/summary.tsv"
    conda:
        CPU_ENVIRONMENT
    script:
        "../scripts/summary.py"


rule retry_skipped:
    """On demand: forget what became of chunks with a skipped brick, so that the next run tries it again."""
    log:
        f"{RESULTS}/logs/retry_skipped.log",
    conda:
        CPU_ENVIRONMENT
    params:
        chunks=[
            [f"{RESULTS}/fetch/predict-{chunk}.tsv", f"{RESULTS}/predict/{chunk}.tsv"]
            for chunk in CHUNKS["predict"]
        ],
        summaries=list(rules.summary.output),
    script:
        "../scripts/retry_skipped.py"
