"""The network learns from the noisy patches alone, and its uncertainty is calibrated.

in   <results>/patches/; or with `pretrained`: the folder of a model
out  <results>/model/model.safetensors, model.json     weights; architecture, bands, stretch, noise, provenance
     <results>/model/uncertainty.json                  1-sigma error as a function of signal
     <results>/logs/training.csv, <results>/logs/tensorboard/
"""

if PRETRAINED:

    rule adopt:
        """A model that was trained before, checked; its uncertainty is measured anew on these bricks."""
        input:
            weights=f"{PRETRAINED}/model.safetensors",
            description=f"{PRETRAINED}/model.json",
        output:
            **MODEL,
        log:
            f"{RESULTS}/logs/adopt.log",
        benchmark:
            f"{RESULTS}/benchmarks/adopt.tsv"
        conda:
            GPU_ENVIRONMENT
        resources:
            mem_mb=growing(2000),
            runtime=growing(10),
        params:
            bands=BANDS,
            recorded=recorded(),
        script:
            "../scripts/adopt.py"

else:

    rule train:
        """Training; goes on from its last checkpoint after a kill."""
        input:
            rules.patches.output,
            noise=rules.noise.output.noise,
        output:
            **MODEL,
            curve=f"{RESULTS}/logs/training.csv",
        log:
            f"{RESULTS}/logs/train.log",
        benchmark:
            f"{RESULTS}/benchmarks/train.tsv"
        conda:
            GPU_ENVIRONMENT
        threads: WHOLE_MACHINE
        resources:
            mem_mb=growing(8000),
            runtime=growing(1440),
        params:
            launcher=training_launcher,
            job=training_job(),
            recorded=recorded(),
        shell:
            "{params.launcher} workflow/scripts/train.py {params.job:q} {log:q}"


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
        GPU_ENVIRONMENT
    threads: WHOLE_MACHINE
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        cache=CACHE,
        predict=PREDICT,
        seed=TRAIN.seed,
        recorded=recorded(PREDICT),
    script:
        "../scripts/calibrate.py"
