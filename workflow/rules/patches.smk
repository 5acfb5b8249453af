"""Training patches, and the noise measured on the training bricks, once.

in   <results>/fetch/train-<chunk>.tsv and the bricks in the cache
out  <results>/patches/image-NNN.npy, invvar-NNN.npy, positions.ecsv     random cuts of all bands
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
        CPU_ENVIRONMENT
    threads: 8
    resources:
        # a brick of 3600 x 3600 pixels in three bands takes 1.5 GB
        mem_mb=lambda wildcards, threads, attempt: attempt * 1500 * threads,
        runtime=growing(120),
    params:
        bands=BANDS,
        cache=CACHE,
        scales=RECOVER.scales,
        max_lag=config["noise"]["max_lag"],
        recorded=recorded(),
    script:
        "../scripts/noise.py"


rule patches:
    """Random cuts spread over the training bricks, only where they are covered."""
    input:
        manifests=fetched("train"),
    output:
        positions=f"{RESULTS}/patches/positions.ecsv",
        manifest=f"{RESULTS}/patches/bricks.tsv",
        shards=expand(
            f"{RESULTS}/patches/{{kind}}-{{shard:03d}}.npy",
            kind=["image", "invvar"],
            shard=range(-(-PATCHES.count // PATCHES.shard_patches)),
        ),
    log:
        f"{RESULTS}/logs/patches.log",
    benchmark:
        f"{RESULTS}/benchmarks/patches.tsv"
    conda:
        CPU_ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        bands=BANDS,
        cache=CACHE,
        settings=PATCHES,
        recorded=recorded(PATCHES),
    script:
        "../scripts/patches.py"
