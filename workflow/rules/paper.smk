"""The paper's own experiments, run again: `snakemake paper --configfile config/paper/<experiment>.yaml`.

in   config: paper, and the sections model, patches, train, predict that its variants override
out  <results>/paper/{noisy,clean}.npy, data.json, noise.json     frames, and their level and rms
     <results>/paper/<variant>/patches/, model/, training.csv     of variants that share patches, the first has them
     <results>/paper/<variant or peer>/denoised.npy     the measured frames restored
     <results>/paper/figure-<name>.png, measures.ecsv, summary.txt
"""


include: "experiment.smk"


if "paper" in config:

    rule paper_frames:
        """The experiment's frames, noisy and clean, drawn by the seed."""
        output:
            noisy=f"{PAPER}/noisy.npy",
            clean=f"{PAPER}/clean.npy",
            data=f"{PAPER}/data.json",
            noise=f"{PAPER}/noise.json",
        log:
            f"{RESULTS}/logs/paper/frames.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/frames.tsv"
        conda:
            CPU_ENVIRONMENT
        threads: 1
        resources:
            mem_mb=growing(8000),
            runtime=growing(60),
        params:
            experiment=EXPERIMENT,
            settings=FRAMES,
            seed=config["paper"]["seed"],
            recorded=recorded(EXPERIMENT, FRAMES),
        script:
            "../scripts/paper_frames.py"

    rule paper_patches:
        """Training patches of the noisy frames that are not held out."""
        input:
            rules.paper_frames.output,
        output:
            positions=f"{PAPER}/{{variant}}/patches/positions.ecsv",
        log:
            f"{RESULTS}/logs/paper/{{variant}}/patches.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/{{variant}}/patches.tsv"
        wildcard_constraints:
            variant="|".join(VARIANTS),
        conda:
            CPU_ENVIRONMENT
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(60),
        params:
            settings=lambda wildcards: VARIANTS[wildcards.variant].patches,
            recorded=lambda wildcards: recorded(VARIANTS[wildcards.variant].patches),
        script:
            "../scripts/paper_patches.py"

    rule paper_train:
        """Training of one variant; goes on from its last checkpoint after a kill."""
        input:
            lambda wildcards: shared_patches(wildcards.variant),
            noise=rules.paper_frames.output.noise,
        output:
            weights=f"{PAPER}/{{variant}}/model/model.safetensors",
            description=f"{PAPER}/{{variant}}/model/model.json",
            curve=f"{PAPER}/{{variant}}/training.csv",
        log:
            f"{RESULTS}/logs/paper/{{variant}}/train.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/{{variant}}/train.tsv"
        wildcard_constraints:
            variant="|".join(VARIANTS),
        conda:
            GPU_ENVIRONMENT
        threads: WHOLE_MACHINE
        resources:
            mem_mb=growing(8000),
            runtime=growing(1440),
        params:
            launcher=training_launcher,
            job=lambda wildcards: variant_job(wildcards.variant),
            recorded=recorded(),
        shell:
            "{params.launcher} workflow/scripts/train.py {params.job:q} {log:q}"

    rule paper_denoise:
        """The measured frames as a variant restores them; some of them by its snapshots, too."""
        input:
            rules.paper_frames.output,
            weights=rules.paper_train.output.weights,
            description=rules.paper_train.output.description,
        output:
            denoised=f"{PAPER}/{{variant}}/denoised.npy",
        log:
            f"{RESULTS}/logs/paper/{{variant}}/denoise.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/{{variant}}/denoise.tsv"
        wildcard_constraints:
            variant="|".join(VARIANTS),
        conda:
            GPU_ENVIRONMENT
        threads: WHOLE_MACHINE
        resources:
            mem_mb=growing(8000),
            runtime=growing(120),
        params:
            settings=lambda wildcards: VARIANTS[wildcards.variant].predict,
            recorded=lambda wildcards: recorded(VARIANTS[wildcards.variant].predict),
        script:
            "../scripts/paper_denoise.py"

    rule paper_peer:
        """A peer, trained on the first variant's patches for as long as that variant, or why it is left out."""
        input:
            rules.paper_frames.output,
            patches=shared_patches(FIRST),
            description=f"{PAPER}/{FIRST}/model/model.json",
        output:
            about=f"{PAPER}/{{peer}}/peer.json",
        log:
            f"{RESULTS}/logs/paper/{{peer}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/{{peer}}.tsv"
        wildcard_constraints:
            peer="|".join(PEERS) or "none",
        conda:
            GPU_ENVIRONMENT
        threads: WHOLE_MACHINE
        resources:
            mem_mb=growing(8000),
            runtime=growing(1440),
        params:
            settings=VARIANTS[FIRST].predict,
            seed=config["paper"]["seed"],
            recorded=recorded(VARIANTS[FIRST].predict, config["paper"]["seed"]),
        script:
            "../scripts/paper_peer.py"

    rule paper_report:
        """Figures, measures and a summary."""
        input:
            rules.paper_frames.output,
            expand(rules.paper_denoise.output.denoised, variant=VARIANTS),
            expand(rules.paper_peer.output.about, peer=PEERS),
        output:
            figures=[
                report(
                    f"{PAPER}/figure-{name}.png",
                    category=f"Experiment: {EXPERIMENT}",
                    labels={"what": name},
                )
                for name in PLAN.figures
            ],
            measures=f"{PAPER}/measures.ecsv",
            summary=f"{PAPER}/summary.txt",
        log:
            f"{RESULTS}/logs/paper/report.log",
        benchmark:
            f"{RESULTS}/benchmarks/paper/report.tsv"
        conda:
            CPU_ENVIRONMENT
        threads: 2
        resources:
            mem_mb=growing(8000),
            runtime=growing(60),
        params:
            variants=VARIANTS,
            peers=PEERS,
            what=(EXPERIMENT, FRAMES),
            recorded=recorded(EXPERIMENT, FRAMES),
        script:
            "../scripts/paper_report.py"


localrules:
    paper,


rule paper:
    """An experiment of the paper, whole."""
    input:
        rules.paper_report.output if "paper" in config else no_experiment,
