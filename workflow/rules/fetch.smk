"""Bricks come into the cache: from the survey, from a mirror on disk, or from a table of FITS images.

in   config: survey; the table of bricks
out  <cache>/<AAA>/<brick>/legacysurvey-<brick>-{image,invvar}-<band>.fits.fz and -maskbits.fits.fz
     <results>/fetch/<purpose>-<chunk>.tsv     what became of each brick of a chunk
     <results>/chosen_bricks.tsv               a table of bricks, on demand
"""


wildcard_constraints:
    purpose="train|predict",
    chunk="c[01]*",


if RUN.source == "files":

    rule fetch:
        """One chunk of bricks out of images of other surveys, in the survey's layout."""
        input:
            table=str(RUN.files),
            listed=lambda wildcards: files_of(
                RUN.images, RUN.chunks[wildcards.purpose][wildcards.chunk]
            ),
        output:
            manifest=f"{RESULTS}/fetch/{{purpose}}-{{chunk}}.tsv",
        log:
            f"{RESULTS}/logs/fetch/{{purpose}}-{{chunk}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/fetch/{{purpose}}-{{chunk}}.tsv"
        conda:
            CPU
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(240),
        params:
            bricks=lambda wildcards: RUN.chunks[wildcards.purpose][wildcards.chunk],
            listed=lambda wildcards: versions_of(
                files_of(RUN.images, RUN.chunks[wildcards.purpose][wildcards.chunk])
            ),
            bands=RUN.bands,
            cache=CACHE,
            version=VERSION,
        script:
            "../scripts/import_images.py"

else:

    rule fetch:
        """One chunk of bricks, several files at once; complete and valid files are passed over."""
        input:
            lambda wildcards: truths(RUN.chunks[wildcards.purpose][wildcards.chunk]),
        output:
            manifest=f"{RESULTS}/fetch/{{purpose}}-{{chunk}}.tsv",
        log:
            f"{RESULTS}/logs/fetch/{{purpose}}-{{chunk}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/fetch/{{purpose}}-{{chunk}}.tsv"
        conda:
            CPU
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(240),
        params:
            bricks=lambda wildcards: RUN.chunks[wildcards.purpose][wildcards.chunk],
            bands=RUN.bands,
            survey=plain(RUN.survey),
            places=lambda wildcards: RUN.places_of(
                RUN.chunks[wildcards.purpose][wildcards.chunk]
            ),
            cache=CACHE,
            # what depends on resources Snakemake does not compare: other tries do not fetch again
            settings=lambda wildcards, resources: plain(RUN.fetch),
            version=VERSION,
        script:
            "../scripts/fetch.py"

    rule choose_bricks:
        """On demand: bricks with all bands, out of the survey's own tables, as a table of bricks."""
        input:
            rules.simulate_tables.output if RUN.simulation else [],
        output:
            table=f"{RESULTS}/chosen_bricks.tsv",
        log:
            f"{RESULTS}/logs/choose_bricks.log",
        benchmark:
            f"{RESULTS}/benchmarks/choose_bricks.tsv"
        conda:
            CPU
        resources:
            mem_mb=growing(2000),
            runtime=growing(30),
        params:
            choose=RUN.choose,
            bands=RUN.bands,
            survey=plain(RUN.survey),
            tables=CACHE,
            settings=plain(RUN.fetch),
            version=VERSION,
        script:
            "../scripts/choose_bricks.py"
