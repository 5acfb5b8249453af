"""Stacks of frames (TIFF, NPY, MRC, HDF5, FITS cubes): in place of patches.smk where `survey.files` lists them.

in   the files of the stacks
out  <results>/patches/noise.json     level and rms of each channel: the scale of the stretch, not a measured noise
     <results>/patches/image-NNN.npy, invvar-NNN.npy, positions.ecsv     random cuts of all channels
     <results>/frames/<stack>.<ext>     every frame denoised, in the format that it came in
     <results>/frames/<stack>.png       a frame before and after
"""


wildcard_constraints:
    stack="|".join(re.escape(name) for name in STACKS),
    suffix="|".join(sorted({re.escape(stack.suffix) for stack in STACKS.values()})),


rule noise:
    """Level and rms of the training stacks."""
    input:
        [str(stack.path) for stack in stack_files("train").values()],
    output:
        noise=f"{RESULTS}/patches/noise.json",
    log:
        f"{RESULTS}/logs/noise.log",
    benchmark:
        f"{RESULTS}/benchmarks/noise.tsv"
    conda:
        CPU_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        stacks=stack_files("train"),
        bands=BANDS,
        scales=RECOVER.scales,
        recorded=recorded(stack_files("train"), BANDS),
    script:
        "../scripts/frames_scale.py"


rule patches:
    """Random cuts spread over the frames of the training stacks."""
    input:
        [str(stack.path) for stack in stack_files("train").values()],
        noise=rules.noise.output.noise,
    output:
        positions=f"{RESULTS}/patches/positions.ecsv",
        shards=expand(
            f"{RESULTS}/patches/{{kind}}-{{shard:03d}}.npy",
            kind=["image", "invvar"],
            shard=range(-(-PATCHES.count // PATCHES.shard_patches)),
        ),
    log:
        f"{RESULTS}/logs/patches.log",
    benchmark:
        f"{RESULTS}/benchmarks/patches.tsv"
    conda:
        CPU_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        stacks=stack_files("train"),
        settings=PATCHES,
        recorded=recorded(stack_files("train"), PATCHES),
    script:
        "../scripts/frames_patches.py"


rule denoise_stack:
    """One stack, frame by frame."""
    input:
        **MODEL,
        stack=stack_path,
    output:
        denoised=f"{RESULTS}/frames/{{stack}}{{suffix}}",
    log:
        f"{RESULTS}/logs/frames/{{stack}}{{suffix}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/frames/{{stack}}{{suffix}}.tsv"
    conda:
        GPU_ENVIRONMENT
    threads: WHOLE_MACHINE
    resources:
        mem_mb=growing(4000),
        runtime=growing(480),
    params:
        stack=lambda wildcards: STACKS[wildcards.stack],
        settings=PREDICT,
        recorded=lambda wildcards: recorded(STACKS[wildcards.stack], PREDICT),
    script:
        "../scripts/denoise_stack.py"


rule stack_picture:
    """The middle frame before and after, on one grey scale."""
    input:
        stack=stack_path,
        denoised=lambda wildcards: (
            f"{RESULTS}/frames/{wildcards.stack}{STACKS[wildcards.stack].suffix}"
        ),
    output:
        picture=report(
            f"{RESULTS}/frames/{{stack}}.png",
            caption="../report/frames.rst",
            category="Pictures",
            labels={"stack": "{stack}"},
        ),
    log:
        f"{RESULTS}/logs/frames/{{stack}}-picture.log",
    benchmark:
        f"{RESULTS}/benchmarks/frames/{{stack}}-picture.tsv"
    conda:
        CPU_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        stack=lambda wildcards: STACKS[wildcards.stack],
        recorded=recorded(),
    script:
        "../scripts/stack_picture.py"
