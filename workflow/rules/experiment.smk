"""Settings of an experiment of the paper, read and checked once: what paper.smk runs."""

PAPER = f"{RESULTS}/paper"


def no_experiment(wildcards):
    """Say what the target `paper` needs."""
    raise WorkflowError(
        "config: paper: no experiment is set; add --configfile config/paper/glyphs.yaml or another one there"
    )


def variant_settings(name, overrides):
    """A variant's settings: the configuration's, but for what it overrides."""
    content = dict(config)
    for section, values in overrides.items():
        content[section] = config[section] | values
    try:
        check_schema(content)
        variant = Variant(*network_settings(content, PLAN.channels))
        if FRAMES.shape is not None:
            variant.check_frames(FRAMES.shape)
        return variant
    except SettingsError as error:
        raise SettingsError(f"paper.variants.{name}: {error}") from None


if "paper" in config:
    from skydenoise.paper.settings import PLANS, Variant

    EXPERIMENT = config["paper"]["experiment"]
    PLAN = PLANS[EXPERIMENT]
    try:
        FRAMES = PLAN.settings(**config["paper"][EXPERIMENT])
        if workflow.is_main_process:
            FRAMES.check_files()
        VARIANTS = {
            name: variant_settings(name, overrides)
            for name, overrides in config["paper"]["variants"].items()
            if overrides is not None  # a second configuration leaves a variant out
        }
    except SettingsError as error:
        raise WorkflowError(f"config: {error}") from None
    PEERS = config["paper"]["peers"]
    FIRST = next(iter(VARIANTS))

    def shared_patches(variant):
        """Positions of the patches of a variant: of the first one that cuts the same."""
        wanted = VARIANTS[variant].patches
        first = next(name for name, each in VARIANTS.items() if each.patches == wanted)
        return f"{PAPER}/{first}/patches/positions.ecsv"

    def variant_job(variant):
        """All that the training of a variant is asked to do, as one line."""
        folder = Path(PAPER) / variant
        return TrainJob(
            patches=Path(shared_patches(variant)).parent,
            noise=Path(PAPER) / "noise.json",
            model=folder / "model",
            log=folder / "training.csv",
            tensorboard=ROOT / "logs/paper" / variant / "tensorboard",
            architecture=VARIANTS[variant].architecture,
            settings=VARIANTS[variant].train,
            softening=config["noise"]["softening"],
            provenance={"experiment": EXPERIMENT},
        ).to_json()
