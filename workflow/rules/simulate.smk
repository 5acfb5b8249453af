"""A small survey with known truth, in the survey's own layout (source: simulation).

in   config: simulation
out  <results>/survey/...     a mirror on disk, fetched from like the real one
     <results>/truth/...      noise-free images and a catalogue of sources for each brick
"""

if SOURCE == "simulation":
    from skydenoise.simulate import SimulationSettings, brick_names

    SIMULATED = Survey(str(MIRROR), SURVEY.release, SURVEY.region)
    try:
        SIMULATION = SimulationSettings(
            release=SURVEY.release, region=SURVEY.region, **config["simulation"]
        )
        absent = sorted({row.brick for row in TABLE} - set(brick_names(SIMULATION)))
        if absent:
            raise SettingsError(
                f"{config['bricks']}: the simulated survey has no brick {absent[0]}"
            )
    except SettingsError as error:
        raise WorkflowError(f"config: {error}") from None

    rule simulate_tables:
        """The survey's tables of bricks, which `choose_bricks` reads."""
        output:
            [SIMULATED.all_bricks, SIMULATED.region_bricks],
        log:
            f"{RESULTS}/logs/simulate/tables.log",
        benchmark:
            f"{RESULTS}/benchmarks/simulate/tables.tsv"
        conda:
            CPU_ENVIRONMENT
        resources:
            mem_mb=growing(2000),
            runtime=growing(30),
        params:
            settings=SIMULATION,
            mirror=MIRROR,
            recorded=recorded(SIMULATION),
        script:
            "../scripts/simulate_tables.py"

    rule simulate_brick:
        """One brick of the common sky: galaxies, stars, saturated stars, masks, correlated noise."""
        output:
            # {sky} is the AAA of the survey's folders, which follows from the brick's name
            catalogue=f"{RESULTS}/truth/{{sky}}/{{brick}}/truth-{{brick}}.ecsv",
            checksums=f"{MIRROR}/{SURVEY.release}/{SURVEY.region}/coadd/{{sky}}/{{brick}}/legacysurvey_{SURVEY.release}_{SURVEY.region}_coadd_{{sky}}_{{brick}}.sha256sum",
        log:
            f"{RESULTS}/logs/simulate/{{sky}}/{{brick}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/simulate/{{sky}}/{{brick}}.tsv"
        conda:
            CPU_ENVIRONMENT
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(30),
        params:
            settings=SIMULATION,
            mirror=MIRROR,
            root=ROOT,
            recorded=recorded(SIMULATION),
        script:
            "../scripts/simulate_brick.py"
