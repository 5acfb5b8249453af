from pathlib import Path

from skydenoise.config import PatchSettings, rebuild
from skydenoise.io import read_brick
from skydenoise.io.manifest import Entry, needed, write_manifest
from skydenoise.joblog import job_log
from skydenoise.noise import without_background_level
from skydenoise.patches import cut_patches

with job_log(snakemake.log[0]):
    params = snakemake.params

    def read(name):
        return without_background_level(read_brick(Path(params.cache), name, params.bands))

    names = needed(snakemake.input.manifests, "patches")
    settings = rebuild(PatchSettings, params.settings)
    skipped = cut_patches(names, read, settings, Path(snakemake.output.positions).parent)
    used = [Entry(name, "done") for name in names if name not in skipped]
    unused = [Entry(name, "skipped", reason=reason) for name, reason in skipped.items()]
    write_manifest(Path(snakemake.output.manifest), used + unused)
