"""What can be set for the frames of each experiment: section `frames` of its configuration."""

from dataclasses import dataclass
from pathlib import Path

from skydenoise.errors import SettingsError

FONT_REMEDY = "apt-get install fonts-wqy-zenhei, or set the key to the place of another font"


class FrameSettings:
    """Settings of an experiment's frames; square ones of the edge `size`, unless a class says otherwise."""

    size: int

    @property
    def shape(self) -> tuple[int, int] | None:
        """(y, x) of a frame; None if only its file says."""
        return self.size, self.size

    def check_files(self) -> None:
        """Raise SettingsError with the remedy if a file of the user's is missing; most need none."""

    def _above_zero(self, keys: str) -> None:
        for key in keys.split():
            if not getattr(self, key) > 0:
                raise SettingsError(f"frames.{key}: {getattr(self, key)} is not above 0")


@dataclass(frozen=True)
class GlyphSettings(FrameSettings):
    """The glyphs of Figs 4 and 5.

    font : TrueType file or collection
    characters : that are drawn; empty: the ideographs and the Hangul of the paper's font
    count : how many of them, chosen by the seed; 0 takes all
    size : edge of an image, pixels
    """

    font: str = "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"
    characters: str = ""
    count: int = 0
    size: int = 64

    def check_files(self) -> None:
        """Raise SettingsError with the remedy if the font is missing."""
        if not Path(self.font).is_file():
            raise SettingsError(f"frames.font: there is no {self.font} ({FONT_REMEDY})")


@dataclass(frozen=True)
class StemSettings(FrameSettings):
    """The simulated STEM series of Fig. 3.

    frames : how many
    series : frames of one scene, in which particles drift and turn and lone atoms hop; then comes another
    size : edge of a frame, pixels
    measured : frames at the end that are denoised and reported on; 0 stands for all
    particles, atoms : nanoparticles and lone atoms per 512 x 512 pixels; of particles at least one in a scene
    lattice : lattice constant, pixels (13 is platinum, 0.392 nm, at 0.03 nm per pixel)
    probe : sigma of the probe, pixels (1.3 is a full width of 0.09 nm)
    radius : of a particle, least and greatest, pixels
    layers : atoms in the column at a particle's centre
    support : electrons per pixel of the empty support
    atom : electrons in the central pixel of a lone atom, above the support
    drift, turn, hop : rms changes from frame to frame: of all positions (pixels), of a particle's direction
        (degrees), of a lone atom's place (pixels)
    """

    frames: int = 1000
    series: int = 1000
    size: int = 512
    measured: int = 64
    particles: float = 8.0
    atoms: float = 60.0
    lattice: float = 13.0
    probe: float = 1.3
    radius: tuple[float, float] = (30.0, 70.0)
    layers: int = 8
    support: float = 0.7
    atom: float = 3.0
    drift: float = 0.5
    turn: float = 0.2
    hop: float = 1.0

    def __post_init__(self) -> None:
        self._above_zero("frames series size layers lattice probe support atom")
        if len(self.radius) != 2 or not 0 < self.radius[0] <= self.radius[1] <= self.size / 2:
            raise SettingsError(
                f"frames.radius: {list(self.radius)} is not [least, greatest], up to half a frame of "
                f"{self.size} pixels"
            )


@dataclass(frozen=True)
class LatticeSettings(FrameSettings):
    """The large lattice of Figs 7 and 8: two kinds of columns, as in SmCo; light ones in close pairs.

    frames, size : how many, and their edge in pixels
    cell : height and width of the unit cell, pixels
    pair : pixels between the two light columns of a pair
    probe : sigma of the probe, pixels
    heavy, light : electrons in the central pixel of a column
    background : electrons per pixel between the columns
    scatter : rms of the columns' heights, relative (occupancy, thickness)
    strain, tilt : rms from frame to frame of the cell's strain (relative) and of its direction (degrees)
    """

    frames: int = 32
    size: int = 2048
    cell: tuple[float, float] = (12.0, 16.0)
    pair: float = 4.0
    probe: float = 1.4
    heavy: float = 4.0
    light: float = 1.5
    background: float = 0.4
    scatter: float = 0.15
    strain: float = 0.005
    tilt: float = 1.0

    def __post_init__(self) -> None:
        self._above_zero("frames size pair probe heavy light")
        if len(self.cell) != 2 or not (4 * self.probe < min(self.cell) and max(self.cell) < self.size / 8):
            raise SettingsError(
                f"frames.cell: {list(self.cell)} is not [height, width], above {4 * self.probe:g} pixels "
                "(four sigmas of the probe) and below an eighth of a frame"
            )


@dataclass(frozen=True)
class TriboliumSettings(FrameSettings):
    """The beetle embryos of Fig. 6: a stack of CARE's public data set, or a stand-in of the same shape.

    noisy, clean : TIFF files of a noisy stack (z, y, x) and of its long exposure, such as
        test_data/condition_1/<name>.tif and test_data/GT/<name>.tif; empty: the stand-in
    slices, height, width : shape of the stand-in
    nuclei : how many it has
    peak, background : photons in the brightest pixel of a typical nucleus, and outside of nuclei in the egg
    gain, read_noise, offset : of its camera: counts per photon, rms counts, counts
    """

    noisy: str = ""
    clean: str = ""
    slices: int = 45
    height: int = 954
    width: int = 486
    nuclei: int = 600
    peak: float = 1.0
    background: float = 0.1
    gain: float = 10.0
    read_noise: float = 8.0
    offset: float = 100.0

    def __post_init__(self) -> None:
        self._above_zero("slices height width nuclei peak background gain")
        if bool(self.noisy) != bool(self.clean):
            raise SettingsError("frames.clean: noisy and clean go together; leave both empty for a stand-in")

    @property
    def shape(self) -> tuple[int, int] | None:
        """(y, x) of a frame of the stand-in; None for the data set."""
        return None if self.noisy else (self.height, self.width)

    def check_files(self) -> None:
        """Raise SettingsError with the remedy if a file of the data set is missing."""
        for key in ("noisy", "clean"):
            path = getattr(self, key)
            if path and not Path(path).expanduser().is_file():
                raise SettingsError(
                    f"frames.{key}: {path} is not there; unpack CARE's Tribolium data set, or leave both "
                    "keys empty for a stand-in"
                )
