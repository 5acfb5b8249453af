"""Stacks of frames (TIFF, NPY, MRC, HDF5, FITS cubes), where `survey.files` lists them.

in   the files of the stacks
out  <results>/patches/noise.json     level and rms of each channel: the scale of the stretch, not a measured noise
     <results>/patches/image.npy, invvar.npy, positions.ecsv     random cuts of all channels
     <results>/frames/<stack>.<ext>     every frame denoised, in the format that it came in
     <results>/frames/<stack>.png       a frame before and after
"""

import re

from skydenoise.stacks.stack import output_suffix
from skydenoise.stacks.table import check_files

if workflow.is_main_process:
    try:  # the process that plans opens the files; those of the jobs need not
        check_files(RUN.stacks, RUN.bricks, RUN.bands, RUN.patches, RUN.predict)
    except (SettingsError, StepError) as error:
        raise WorkflowError(f"config: {error}") from None


wildcard_constraints:
    stack="|".join(re.escape(name) for name in RUN.stacks),
    suffix="|".join(
        sorted({re.escape(output_suffix(stack.path)) for stack in RUN.stacks.values()})
    ),


DENOISED = {
    name: f"{RESULTS}/frames/{name}{output_suffix(RUN.stacks[name].path)}"
    for name in RUN.bricks["predict"]
}
TRAINING = {name: plain(RUN.stacks[name]) for name in RUN.bricks["train"]}
LISTED = versions_of(files_of(RUN.images, RUN.bricks["train"]))


rule stack_scale:
    """Level and rms of the training stacks."""
    input:
        [stack["path"] for stack in TRAINING.values()],
    output:
        noise=f"{RESULTS}/patches/noise.json",
    log:
        f"{RESULTS}/logs/stack_scale.log",
    benchmark:
        f"{RESULTS}/benchmarks/stack_scale.tsv"
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        stacks=TRAINING,
        listed=LISTED,
        bands=RUN.bands,
        scales=RUN.predict.recover.scales,
        version=VERSION,
    script:
        "../scripts/stack_scale.py"


rule stack_patches:
    """Random cuts spread over the frames of the training stacks."""
    input:
        [stack["path"] for stack in TRAINING.values()],
        noise=rules.stack_scale.output.noise,
    output:
        **PATCHES,
    log:
        f"{RESULTS}/logs/stack_patches.log",
    benchmark:
        f"{RESULTS}/benchmarks/stack_patches.tsv"
    conda:
        CPU
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        stacks=TRAINING,
        listed=LISTED,
        settings=plain(RUN.patches),
        version=VERSION,
    script:
        "../scripts/stack_patches.py"


rule denoise_stack:
    """One stack, frame by frame."""
    input:
        **MODEL,
        stack=lambda wildcards: str(RUN.stacks[wildcards.stack].path),
    output:
        denoised=f"{RESULTS}/frames/{{stack}}{{suffix}}",
    log:
        f"{RESULTS}/logs/frames/{{stack}}{{suffix}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/frames/{{stack}}{{suffix}}.tsv"
    conda:
        CPU
    threads: 8
    resources:
        mem_mb=growing(4000),
        runtime=growing(480),
    params:
        stack=lambda wildcards: plain(RUN.stacks[wildcards.stack]),
        listed=lambda wildcards: versions_of(files_of(RUN.images, [wildcards.stack])),
        settings=plain(RUN.predict),
        version=VERSION,
    script:
        "../scripts/denoise_stack.py"


rule stack_picture:
    """The middle frame before and after, on one grey scale."""
    input:
        stack=lambda wildcards: str(RUN.stacks[wildcards.stack].path),
        denoised=lambda wildcards: DENOISED[wildcards.stack],
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
        CPU
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        stack=lambda wildcards: plain(RUN.stacks[wildcards.stack]),
        version=VERSION,
    script:
        "../scripts/stack_picture.py"


PRODUCTS += [
    *DENOISED.values(),
    expand(rules.stack_picture.output.picture, stack=DENOISED),
]
