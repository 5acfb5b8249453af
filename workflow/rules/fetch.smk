"""Bricks come into the cache: from the survey, from a mirror on disk, or from a table of FITS images.

in   config: survey; the table of bricks
out  <cache>/<AAA>/<brick>/legacysurvey-<brick>-{image,invvar}-<band>.fits.fz and -maskbits.fits.fz
     <results>/fetch/<purpose>-<chunk>.tsv     what became of each brick of a chunk
     <results>/chosen_bricks.tsv           a table of bricks, on demand
"""


wildcard_constraints:
    purpose="train|predict",
    chunk="c[01]*",


rule fetch:
    """One chunk of bricks, several files at once; complete and valid files are passed over."""
    input:
        simulated=lambda wildcards: simulated(
            CHUNKS[wildcards.purpose][wildcards.chunk]
        ),
        table=config["survey"]["files"] if SOURCE == "files" else [],
        listed=lambda wildcards: files_of(
            IMAGES, CHUNKS[wildcards.purpose][wildcards.chunk]
        ),
    output:
        manifest=f"{RESULTS}/fetch/{{purpose}}-{{chunk}}.tsv",
    log:
        f"{RESULTS}/logs/fetch/{{purpose}}-{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fetch/{{purpose}}-{{chunk}}.tsv"
    conda:
        CPU_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        bricks=lambda wildcards: CHUNKS[wildcards.purpose][wildcards.chunk],
        bands=BANDS,
        survey=SURVEY,
        cache=CACHE,
        settings=FETCH,
        recorded=recorded(ORIGIN),
    script:
        "../scripts/import_files.py" if SOURCE == "files" else "../scripts/fetch.py"


rule choose_bricks:
    """Bricks with all bands, out of the survey's own tables; look at them, then set `bricks:` to the result."""
    input:
        rules.simulate_tables.output if SOURCE == "simulation" else [],
    output:
        table=f"{RESULTS}/chosen_bricks.tsv",
    log:
        f"{RESULTS}/logs/choose_bricks.log",
    benchmark:
        f"{RESULTS}/benchmarks/choose_bricks.tsv"
    conda:
        CPU_ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        region=REGION,
        train=config["choose"]["train"],
        seed=config["choose"]["seed"],
        bands=BANDS,
        survey=SURVEY,
        tables=CACHE,
        settings=FETCH,
        recorded=recorded(ORIGIN, REGION),
    script:
        "../scripts/choose_bricks.py"
