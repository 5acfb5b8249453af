"""Frames of an experiment: simulated, trained on by every variant and baseline, denoised and measured.

in   config: experiment, seed, baselines, frames, variants, and the sections that the variants override
out  <results>/{noisy,clean}.npy, data.json, noise.json     frames, and their level and rms
     <results>/<variant>/patches/, model/, training.csv     of variants that share patches, the first has them
     <results>/<variant or baseline>/denoised.npy               the measured frames denoised
     <results>/figure-<name>.png, measures.ecsv, summary.txt
"""

from experiments.wang2021.configuration import PLANS, Configuration
from skydenoise.config import plain

try:
    RUN = Configuration.of(config)
    RUN.frames.check_files()
except SettingsError as error:
    raise WorkflowError(f"config: {error}") from None
FIRST = next(iter(RUN.variants))


wildcard_constraints:
    variant="|".join(RUN.variants),
    baseline="|".join(RUN.baselines) or "none",


def shared_patches(variant):
    """Positions of the patches of a variant: of the first one that cuts the same."""
    wanted = RUN.variants[variant].patches
    first = next(name for name, each in RUN.variants.items() if each.patches == wanted)
    return f"{RESULTS}/{first}/patches/positions.ecsv"


def settings(section):
    """Settings of a section of the wildcard's variant, as values that Snakemake compares."""
    return lambda wildcards: plain(getattr(RUN.variants[wildcards.variant], section))


rule report:
    """Figures, measures and a summary."""
    input:
        f"{RESULTS}/data.json",
        expand(f"{RESULTS}/{{variant}}/denoised.npy", variant=RUN.variants),
        expand(f"{RESULTS}/{{baseline}}/baseline.json", baseline=RUN.baselines),
    output:
        figures=[
            report(
                f"{RESULTS}/figure-{name}.png",
                category=f"Experiment: {RUN.experiment}",
                labels={"what": name},
            )
            for name in PLANS[RUN.experiment].figures
        ],
        measures=f"{RESULTS}/measures.ecsv",
        summary=f"{RESULTS}/summary.txt",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        CPU
    threads: 2
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        config=config,
    script:
        "../scripts/report.py"


rule frames:
    """The experiment's frames, noisy and clean, drawn by the seed."""
    output:
        noisy=f"{RESULTS}/noisy.npy",
        clean=f"{RESULTS}/clean.npy",
        data=f"{RESULTS}/data.json",
        noise=f"{RESULTS}/noise.json",
    log:
        f"{RESULTS}/logs/frames.log",
    benchmark:
        f"{RESULTS}/benchmarks/frames.tsv"
    conda:
        CPU
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        experiment=RUN.experiment,
        settings=plain(RUN.frames),
        seed=RUN.seed,
    script:
        "../scripts/frames.py"


rule patches:
    """Training patches of the noisy frames that are not held out."""
    input:
        rules.frames.output,
    output:
        positions=f"{RESULTS}/{{variant}}/patches/positions.ecsv",
    log:
        f"{RESULTS}/logs/{{variant}}/patches.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{variant}}/patches.tsv"
    conda:
        CPU
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings("patches"),
    script:
        "../scripts/patches.py"


rule train:
    """Training of one variant; goes on from its last checkpoint after a kill."""
    input:
        patches=lambda wildcards: shared_patches(wildcards.variant),
        noise=rules.frames.output.noise,
    output:
        weights=f"{RESULTS}/{{variant}}/model/model.safetensors",
        description=f"{RESULTS}/{{variant}}/model/model.json",
        curve=f"{RESULTS}/{{variant}}/training.csv",
    log:
        f"{RESULTS}/logs/{{variant}}/train.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{variant}}/train.tsv"
    conda:
        GPU
    threads: WHOLE_MACHINE
    resources:
        mem_mb=8000,
        runtime=1440,
    params:
        architecture=settings("architecture"),
        settings=settings("train"),
        softening=RUN.softening,
        snapshots=RUN.snapshots,
        experiment=RUN.experiment,
    script:
        "../scripts/train.py"


rule denoise:
    """The measured frames as a variant denoises them; some of them by its snapshots, too."""
    input:
        rules.frames.output,
        rules.train.output,
    output:
        denoised=f"{RESULTS}/{{variant}}/denoised.npy",
    log:
        f"{RESULTS}/logs/{{variant}}/denoise.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{variant}}/denoise.tsv"
    conda:
        GPU
    threads: WHOLE_MACHINE
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        settings=settings("predict"),
    script:
        "../scripts/denoise.py"


rule baseline:
    """A baseline, trained on the first variant's patches for as long as that variant, or why it is left out."""
    input:
        rules.frames.output,
        patches=shared_patches(FIRST),
        description=f"{RESULTS}/{FIRST}/model/model.json",
    output:
        about=f"{RESULTS}/{{baseline}}/baseline.json",
    log:
        f"{RESULTS}/logs/{{baseline}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{baseline}}.tsv"
    conda:
        GPU
    threads: WHOLE_MACHINE
    resources:
        mem_mb=8000,
        runtime=1440,
    params:
        settings=plain(RUN.variants[FIRST].predict),
        seed=RUN.seed,
    script:
        "../scripts/baseline.py"
