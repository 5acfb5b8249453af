"""The network learns from the noisy patches alone; or, with `pretrained`, a trained one is taken.

in   <results>/patches/; or the folder of a model
out  <results>/model/model.safetensors, model.json     weights; architecture, bands, stretch, noise, provenance
     <results>/logs/training.csv, <results>/logs/tensorboard/
     <results>/evaluation/training.png                 the training curve
"""

from skydenoise.io.digest import file_digest
from skydenoise.train.job import TrainJob

if RUN.pretrained:

    rule adopt:
        """A model that was trained before, checked."""
        input:
            weights=f"{RUN.pretrained}/model.safetensors",
            description=f"{RUN.pretrained}/model.json",
        output:
            **MODEL,
        log:
            f"{RESULTS}/logs/adopt.log",
        benchmark:
            f"{RESULTS}/benchmarks/adopt.tsv"
        conda:
            CPU
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(10),
        params:
            bands=RUN.bands,
            # a model may be exchanged for an older file; Snakemake compares nothing that follows from `input`
            model=[
                file_digest(path) for path in Path(RUN.pretrained).glob("model.json")
            ],
            version=VERSION,
        script:
            "../scripts/adopt.py"

else:

    rule train:
        """Training; goes on from its last checkpoint after a kill."""
        input:
            **PATCHES,
            noise=f"{RESULTS}/patches/noise.json",
        output:
            **MODEL,
            curve=f"{RESULTS}/logs/training.csv",
        log:
            f"{RESULTS}/logs/train.log",
        benchmark:
            f"{RESULTS}/benchmarks/train.tsv"
        conda:
            GPU
        threads: WHOLE_MACHINE
        resources:
            mem_mb=growing(8000),
            runtime=growing(1440),
        params:
            launcher=launcher,
            job=TrainJob(
                patches=RUN.root / "patches",
                noise=RUN.root / "patches/noise.json",
                model=RUN.root / "model",
                log=RUN.root / "logs/training.csv",
                tensorboard=RUN.root / "logs/tensorboard",
                architecture=RUN.architecture,
                settings=RUN.train,
                softening=RUN.noise.softening,
                provenance={"survey": RUN.origin},
            ).to_json(),
            version=VERSION,
        shell:
            "{params.launcher} -m skydenoise.train {params.job:q} {log:q}"

    rule training_curve:
        """Loss on the training patches and on the held-out ones, by epoch."""
        input:
            curve=rules.train.output.curve,
        output:
            plot=report(
                f"{RESULTS}/evaluation/training.png",
                caption="../report/training.rst",
                category="Training",
                labels={"what": "training curve"},
            ),
        log:
            f"{RESULTS}/logs/training_curve.log",
        benchmark:
            f"{RESULTS}/benchmarks/training_curve.tsv"
        conda:
            CPU
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(10),
        params:
            version=VERSION,
        script:
            "../scripts/training_curve.py"

    PRODUCTS.append(rules.training_curve.output)
