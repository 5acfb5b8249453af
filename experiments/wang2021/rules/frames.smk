"""Frames of an experiment: simulated, trained on by every variant and peer, denoised and measured.

in   config: experiment, seed, peers, frames, variants, and the sections that the variants override
out  <results>/{noisy,clean}.npy, data.json, noise.json     frames, and their level and rms
     <results>/<variant>/patches/, model/, training.csv     of variants that share patches, the first has them
     <results>/<variant or peer>/denoised.npy               the measured frames denoised
     <results>/figure-<name>.png, measures.ecsv, summary.txt
"""

from dataclasses import asdict

from experiments.wang2021.configuration import PLANS, Configuration
from skydenoise.errors import SettingsError

try:
    RUN = Configuration.of(config)
    if workflow.is_main_process:
        RUN.frames.check_files()
except SettingsError as error:
    raise WorkflowError(f"config: {error}") from None
FIRST = next(iter(RUN.variants))


wildcard_constraints:
    variant="|".join(RUN.variants),
    peer="|".join(RUN.peers) or "none",


def shared_patches(variant):
    """Positions of the patches of a variant: of the first one that cuts the same."""
    wanted = RUN.variants[variant].patches
    first = next(name for name, each in RUN.variants.items() if each.patches == wanted)
    return f"{RESULTS}/{first}/patches/positions.ecsv"


def plain(section, variant=None):
    """Settings of a section as values that Snakemake compares; of the wildcard's variant unless one is named."""
    return lambda wildcards: asdict(
        getattr(RUN.variants[variant or wildcards.variant], section)
    )


rule report:
    """Figures, measures and a summary."""
    input:
        f"{RESULTS}/data.json",
        expand(f"{RESULTS}/{{variant}}/denoised.npy", variant=RUN.variants),
        expand(f"{RESULTS}/{{peer}}/peer.json", peer=RUN.peers),
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
        CPU_ENVIRONMENT
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
        CPU_ENVIRONMENT
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        experiment=RUN.experiment,
        settings=asdict(RUN.frames),
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
        CPU_ENVIRONMENT
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=plain("patches"),
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
        GPU_ENVIRONMENT
    threads: WHOLE_MACHINE
    resources:
        mem_mb=8000,
        runtime=1440,
    params:
        architecture=plain("architecture"),
        settings=plain("train"),
        softening=RUN.softening,
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
        GPU_ENVIRONMENT
    threads: WHOLE_MACHINE
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        settings=plain("predict"),
    script:
        "../scripts/denoise.py"


rule peer:
    """A peer, trained on the first variant's patches for as long as that variant, or why it is left out."""
    input:
        rules.frames.output,
        patches=shared_patches(FIRST),
        description=f"{RESULTS}/{FIRST}/model/model.json",
    output:
        about=f"{RESULTS}/{{peer}}/peer.json",
    log:
        f"{RESULTS}/logs/{{peer}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{peer}}.tsv"
    conda:
        GPU_ENVIRONMENT
    threads: WHOLE_MACHINE
    resources:
        mem_mb=8000,
        runtime=1440,
    params:
        settings=plain("predict", FIRST),
        seed=RUN.seed,
    script:
        "../scripts/peer.py"
