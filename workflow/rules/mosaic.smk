"""Many bricks on one WCS, weighted by inverse variance.

in   <results>/coadd/ (by the manifests of <results>/predict/), the bricks' invvar in the cache
out  <results>/mosaic/<name>/mosaic-<name>-{image,footprint}-<band>.fits
"""


wildcard_constraints:
    mosaic="|".join(RUN.mosaics) or "none",
    band="|".join(RUN.bands),


rule mosaic:
    """One band of one mosaic, block by block."""
    input:
        description=MODEL["description"],
        manifests=lambda wildcards: predicted(RUN.mosaics[wildcards.mosaic].bricks),
    output:
        image=f"{RESULTS}/mosaic/{{mosaic}}/mosaic-{{mosaic}}-image-{{band}}.fits",
        footprint=f"{RESULTS}/mosaic/{{mosaic}}/mosaic-{{mosaic}}-footprint-{{band}}.fits",
    log:
        f"{RESULTS}/logs/mosaic/{{mosaic}}-{{band}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mosaic/{{mosaic}}-{{band}}.tsv"
    conda:
        CPU
    threads: 2
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
