"""The sky as one picture: multi-order tiles before and after, and a page that shows them. On demand: `snakemake sky`.

in   <results>/coadd/ (by the manifests of <results>/predict/), the bricks in the cache
out  <results>/sky/{input,denoised,flags}/, <results>/sky/{input,denoised,sigma}-<band>/   HiPS: tiles, properties, Moc.fits
     <results>/sky/index.html, sky.js, sky.json, aladin.js      the page, what it shows, the viewer it fetches
     <results>/sky/found/<AAA>/<brick>.json                     place and sources of a brick

Tiles are no outputs: jobs share them, and make only those whose bricks have changed.
"""


rule sky_chunk:
    """The bricks of one chunk: their tiles, and the coarser ones above."""
    input:
        manifest=f"{RESULTS}/predict/{{chunk}}.tsv",
        description=MODEL["description"],
        detection=[f"{RESULTS}/evaluation/detection.ecsv"] if RUN.simulation else [],
    output:
        records=f"{RESULTS}/sky/chunks/{{chunk}}.json",
    log:
        f"{RESULTS}/logs/sky/{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/sky/{{chunk}}.tsv"
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(240),
    params:
        cache=CACHE,
        settings=plain(RUN.sky),
        fwhm=list(RUN.evaluate.fwhm),
        version=VERSION,
    script:
        "../scripts/sky_chunk.py"


rule sky_viewer:
    """Aladin Lite of the npm registry, verified."""
    output:
        script=f"{RESULTS}/sky/aladin.js",
        licence=f"{RESULTS}/sky/aladin-licence.txt",
    log:
        f"{RESULTS}/logs/sky_viewer.log",
    benchmark:
        f"{RESULTS}/benchmarks/sky_viewer.tsv"
    localrule: True
    conda:
        CPU
    params:
        timeout=RUN.fetch.timeout,
        version=VERSION,
    script:
        "../scripts/sky_viewer.py"


rule sky:
    """The surveys' descriptions, the list of bricks, the page."""
    input:
        records=expand(rules.sky_chunk.output.records, chunk=RUN.chunks["predict"]),
        predicted=predicted(RUN.bricks["predict"]),
        fetched=fetched("predict"),
        description=MODEL["description"],
        detection=[f"{RESULTS}/evaluation/detection.ecsv"] if RUN.simulation else [],
        viewer=rules.sky_viewer.output.script,
    output:
        page=f"{RESULTS}/sky/index.html",
        script=f"{RESULTS}/sky/sky.js",
        bricks=f"{RESULTS}/sky/sky.json",
    log:
        f"{RESULTS}/logs/sky.log",
    benchmark:
        f"{RESULTS}/benchmarks/sky.tsv"
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(60),
    params:
        credit=RUN.credit,
        cache=CACHE,
        settings=plain(RUN.sky),
        version=VERSION,
    script:
        "../scripts/sky.py"
