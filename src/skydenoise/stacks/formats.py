"""Which files hold stacks; light enough to import while Snakemake parses."""

from pathlib import Path

from skydenoise.errors import SettingsError

SUFFIXES = (
    ".tif",
    ".tiff",
    ".npy",
    ".mrc",
    ".mrcs",
    ".h5",
    ".hdf5",
    ".fits.gz",
    ".fits.fz",
    ".fits",
)
"""Ends of the names of files that can hold stacks."""


def suffix_of(path: Path) -> str:
    """End of a stack's name, in lower case; raises SettingsError if it is not among SUFFIXES."""
    name = path.name.lower()
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return suffix
    raise SettingsError(f"{path}: no kind of stack; known are {', '.join(SUFFIXES)}")


def output_suffix(path: Path) -> str:
    """End of the name of a stack that is written like the one at `path`: compressed FITS comes back plain.

    (Compressing a cube needs all of it at once.)
    """
    suffix = suffix_of(path)
    return ".fits" if suffix.startswith(".fits") else suffix


def is_frames_only(path: Path) -> bool:
    """Whether a file of this name can be nothing but a stack; FITS files hold skies as well."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), ".fits")
    return not suffix.startswith(".fits")
