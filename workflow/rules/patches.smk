"""Training patches, and the noise measured on the training bricks, once.

in   <results>/fetch/train-<chunk>.tsv and the bricks in the cache
out  <results>/patches/image.npy, invvar.npy, positions.ecsv     random cuts of all bands
     <results>/patches/bricks.tsv     which training bricks could not be used, and why
     <results>/patches/noise.json     sigma, correlation function and level per starlet scale
"""


rule noise:
    """Noise of the training bricks: what every later step measures significance against."""
    input:
        manifests=fetched("train"),
    output:
        noise=f"{RESULTS}/patches/noise.json",
    log:
        f"{RESULTS}/logs/noise.log",
    benchmark:
        f"{RESULTS}/benchmarks/noise.tsv"
    conda:
        CPU
    threads: 8
    resources:
        mem_mb=for_each_thread(1500),
        runtime=growing(120),
    params:
        bands=RUN.bands,
        cache=CACHE,
        scales=RUN.predict.recover.scales,
        max_lag=RUN.noise.max_lag,
        version=VERSION,
    script:
        "../scripts/noise.py"


rule patches:
    """Random cuts spread over the training bricks, only where they are covered."""
    input:
        manifests=fetched("train"),
    output:
        **PATCHES,
        manifest=f"{RESULTS}/patches/bricks.tsv",
    log:
        f"{RESULTS}/logs/patches.log",
    benchmark:
        f"{RESULTS}/benchmarks/patches.tsv"
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        bands=RUN.bands,
        cache=CACHE,
        settings=plain(RUN.patches),
        version=VERSION,
    script:
        "../scripts/patches.py"
