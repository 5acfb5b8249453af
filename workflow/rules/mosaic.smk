"""Many bricks on one WCS, weighted by inverse variance.

in   <results>/coadd/ (by the manifests of <results>/predict/), the bricks' invvar in the cache
out  <results>/mosaic/<name>/mosaic-<name>-{image,invvar}-<band>.fits
"""


wildcard_constraints:
    mosaic="|".join(config["mosaics"]) or "none",
    band="|".join(BANDS),


rule mosaic:
    """One band of one mosaic, brick by brick; a brick that cannot be read is left out."""
    input:
        description=MODEL["description"],
        manifests=lambda wildcards: predicted(mosaic_bricks(wildcards.mosaic)),
    output:
        image=f"{RESULTS}/mosaic/{{mosaic}}/mosaic-{{mosaic}}-image-{{band}}.fits",
        invvar=f"{RESULTS}/mosaic/{{mosaic}}/mosaic-{{mosaic}}-invvar-{{band}}.fits",
    log:
        f"{RESULTS}/logs/mosaic/{{mosaic}}-{{band}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mosaic/{{mosaic}}-{{band}}.tsv"
    conda:
        CPU_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        bricks=lambda wildcards: mosaic_bricks(wildcards.mosaic),
        settings=lambda wildcards: MOSAICS[wildcards.mosaic],
        cache=CACHE,
        root=ROOT,
        recorded=lambda wildcards: recorded(MOSAICS[wildcards.mosaic]),
    script:
        "../scripts/mosaic.py"
