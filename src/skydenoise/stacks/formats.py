"""Which files hold stacks; light enough to import while Snakemake parses."""

from pathlib import Path

from skydenoise.errors import SettingsError
from skydenoise.image_table import STACK_SUFFIXES


def suffix_of(path: Path) -> str:
    """End of a stack's name, in lower case; raises SettingsError if it is not among STACK_SUFFIXES."""
    name = path.name.lower()
    for suffix in STACK_SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return suffix
    raise SettingsError(f"{path}: no kind of stack; known are {', '.join(STACK_SUFFIXES)}")


def output_suffix(path: Path) -> str:
    """End of the name of a stack that is written like the one at `path`: compressed FITS comes back plain.

    (Compressing a cube needs all of it at once.)
    """
    suffix = suffix_of(path)
    return ".fits" if suffix.startswith(".fits") else suffix
