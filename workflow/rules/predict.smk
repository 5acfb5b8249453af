"""Every brick denoised: tiles through the network, blended, unstretched, significant detail recovered.

in   <results>/model/, <results>/fetch/predict-<chunk>.tsv and the bricks in the cache
out  <results>/model/uncertainty.json     1-sigma error as a function of signal, measured on the training bricks
     <results>/coadd/<AAA>/<brick>/skydenoise-<brick>-{image,sigma}-<band>.fits.fz and -flags.fits.fz
     <results>/predict/<chunk>.tsv        what became of each brick of a chunk
     <results>/skipped.tsv, summary.txt   bricks that could not be done, and why
"""


rule calibrate:
    """Denoise training cutouts, add fresh noise, denoise again: how large is the error where?"""
    input:
        **MODEL,
        manifests=fetched("train"),
    output:
        uncertainty=f"{RESULTS}/model/uncertainty.json",
    log:
        f"{RESULTS}/logs/calibrate.log",
    benchmark:
        f"{RESULTS}/benchmarks/calibrate.tsv"
    conda:
        CPU
    threads: 8
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        cache=CACHE,
        settings=plain(RUN.predict),
        seed=RUN.train.seed,
        version=VERSION,
    script:
        "../scripts/calibrate.py"


rule predict:
    """One chunk: as many bricks at a time as threads, each in a process of its own."""
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
        CPU
    threads: 16
    resources:
        mem_mb=for_each_thread(2250 if RUN.predict.flag_borrowed else 1750),  # of 3600 x 3600 x 3 pixels
        runtime=growing(480),
    params:
        cache=CACHE,
        settings=plain(RUN.predict),
        output=plain(RUN.output),
        version=VERSION,
    script:
        "../scripts/predict.py"


rule summary:
    """Which bricks were skipped, and why; how many were done."""
    input:
        fetched=fetched("train") + fetched("predict"),
        predicted=predicted(RUN.bricks["predict"]),
        # a plain path: beside a rule's output Snakemake looks up every file by the hash of them all
        cut=[] if RUN.pretrained else [f"{RESULTS}/patches/bricks.tsv"],
    output:
        skipped=f"{RESULTS}/skipped.tsv",
        summary=f"{RESULTS}/summary.txt",
    log:
        f"{RESULTS}/logs/summary.log",
    benchmark:
        f"{RESULTS}/benchmarks/summary.tsv"
    localrule: True
    conda:
        CPU
    params:
        version=VERSION,
    script:
        "../scripts/summary.py"


rule retry_skipped:
    """On demand: forget chunks with a skipped brick, and its files, so that the next run tries it again."""
    log:
        f"{RESULTS}/logs/retry_skipped.log",
    benchmark:
        f"{RESULTS}/benchmarks/retry_skipped.tsv"
    localrule: True
    conda:
        CPU
    params:
        chains=manifest_chains(),
        summaries=list(rules.summary.output),
        cache=CACHE,
    script:
        "../scripts/retry_skipped.py"


if RUN.source == "survey":

    rule refresh:
        """On demand: forget bricks that the survey has replaced, so that the next run does them again."""
        log:
            f"{RESULTS}/logs/refresh.log",
        benchmark:
            f"{RESULTS}/benchmarks/refresh.tsv"
        localrule: True
        conda:
            CPU
        params:
            bricks=lambda wildcards: sorted(
                {*RUN.bricks["train"], *RUN.bricks["predict"]}
            ),
            bands=RUN.bands,
            survey=plain(RUN.survey),
            places=RUN.places,
            cache=CACHE,
            settings=plain(RUN.fetch),
            chains=manifest_chains(),
            summaries=list(rules.summary.output),
        script:
            "../scripts/refresh.py"


PRODUCTS.append(rules.summary.output)
