"""Many bricks on one WCS, weighted by inverse variance.

in   <results>/coadd/ (by the manifests of <results>/predict/), the bricks' invvar in the cache
out  <results>/mosaic/<name>/mosaic-<name>-{image,invvar}-<band>.fits
"""


wildcard_constraints:
    mosaic="|".join(RUN.mosaics) or "none",
    band="|".join(RUN.bands),


rule mosaic:
    """One band of one mosaic, brick by brick; a brick that cannot be read is left out."""
    input:
        description=MODEL["description"],
        manifests=lambda wildcards: predicted(RUN.mosaics[wildcards.mosaic].bricks),
        grid=lambda wildcards: RUN.mosaics[wildcards.mosaic].settings.wcs or [],
    output:
        image=f"{RESULTS}/mosaic/{{mosaic}}/mosaic-{{mosaic}}-image-{{band}}.fits",
        invvar=f"{RESULTS}/mosaic/{{mosaic}}/mosaic-{{mosaic}}-invvar-{{band}}.fits",
    log:
        f"{RESULTS}/logs/mosaic/{{mosaic}}-{{band}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mosaic/{{mosaic}}-{{band}}.tsv"
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        bricks=lambda wildcards: RUN.mosaics[wildcards.mosaic].bricks,
        settings=lambda wildcards: plain(RUN.mosaics[wildcards.mosaic].settings),
        cache=CACHE,
        version=VERSION,
    script:
        "../scripts/mosaic.py"


PRODUCTS.append(expand(rules.mosaic.output.image, mosaic=RUN.mosaics, band=RUN.bands))
