"""The network learns from the noisy patches alone, and its uncertainty is calibrated.

in   <results>/patches/
out  <results>/model/model.safetensors, model.json     weights; architecture, bands, stretch, noise, provenance
     <results>/model/uncertainty.json                  1-sigma error as a function of signal
     <results>/logs/training.csv, <results>/logs/tensorboard/
"""


rule train:
    """Training; goes on from its last checkpoint after a kill."""
    input:
        rules.patches.output,
        noise=rules.noise.output.noise,
    output:
        weights=f"{RESULTS}/model/model.safetensors",
        description=f"{RESULTS}/model/model.json",
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
        manifests=fetched("train"),
        weights=rules.train.output.weights,
        description=rules.train.output.description,
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
