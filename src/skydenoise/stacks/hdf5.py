"""HDF5, of synchrotrons and many cameras."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from skydenoise.errors import SettingsError
from skydenoise.stacks.axes import Axes
from skydenoise.stacks.pixels import FLOAT, StackFile, StoredArray


@contextmanager
def open_array(path: Path, dataset: str) -> Iterator[StoredArray]:
    """A dataset; its name may be empty if only one in the file has two or more dimensions."""
    with h5py.File(path, "r") as file:
        names: list[str] = []

        def visit(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and item.ndim >= 2:
                names.append(name)

        file.visititems(visit)
        if not dataset and len(names) != 1:
            raise SettingsError(f"it holds {len(names)} datasets ({', '.join(names)}): say which")
        name = dataset or names[0]
        stored = file.get(name)
        if not isinstance(stored, h5py.Dataset):
            raise SettingsError(f"there is no dataset {name!r}, only {', '.join(names)}")
        _check_filters(stored)
        yield StoredArray(stored, "", name)


def _check_filters(dataset: h5py.Dataset) -> None:
    plan = dataset.id.get_create_plist()
    for code in (plan.get_filter(number)[0] for number in range(plan.get_nfilters())):
        if not h5py.h5z.filter_avail(code):
            raise SettingsError(
                f"its compression (HDF5 filter {code}) is not installed: pip install hdf5plugin and set "
                "HDF5_PLUGIN_PATH to its folder of plugins, or save it with gzip"
            )


@contextmanager
def create_like(source: StackFile, axes: Axes, path: Path, note: str) -> Iterator[h5py.Dataset]:
    """New HDF5 file with this one dataset, compressed as the source is; its attributes and its groups'."""
    with h5py.File(source.path, "r") as file, h5py.File(path, "w") as new_file:
        old = file[source.dataset]
        kept = old.compression if old.compression in ("gzip", "lzf") else None
        pairs = zip(axes.key(0), axes.shape, strict=True)
        frame = tuple(1 if isinstance(part, int) else size for part, size in pairs)
        new = new_file.create_dataset(
            source.dataset, axes.shape, FLOAT, chunks=frame, compression=kept, shuffle=old.shuffle
        )
        _copy_attributes(old, new)
        while old.name != "/":
            old = old.parent
            _copy_attributes(old, new_file[old.name])
        new.attrs["skydenoise"] = note  # not the source's, if that is a denoised one
        yield new


def _copy_attributes(old: h5py.HLObject, new: h5py.HLObject) -> None:
    """Copy attributes with their types, but for links: what they lead to is not in the new file."""
    for name in old.attrs:
        stored = old.attrs.get_id(name)
        if not stored.get_type().detect_class(h5py.h5t.REFERENCE):
            new.attrs.create(name, old.attrs[name], dtype=stored.dtype)
