"""HDF5: attributes of every type come back, and a missing filter is told at once."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from skydenoise.errors import SettingsError, StepError
from skydenoise.stacks.pixels import StackFile
from skydenoise.stacks.stack import open_stack
from tests.stacks.builders import copy, make_stack

TEXTS = h5py.string_dtype()


def test_attributes_of_every_type_are_kept(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        data = file.create_dataset("entry/data", data=make_stack(4, 8, 9), chunks=True, compression="gzip")
        data.attrs["units"] = "counts"
        data.attrs["skydenoise"] = "of an earlier run"
        data.attrs["axes"] = np.array(["frame", "y", "x"], dtype=TEXTS)
        data.attrs["fixed"] = np.array([b"ab", b"c"])
        data.attrs["empty"] = h5py.Empty(TEXTS)
        data.attrs["flags"] = np.array([True, False])
        data.attrs["pair"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", ">f8")])
        ragged = np.array([np.arange(2), np.arange(3)], dtype=object)
        data.attrs.create("ragged", ragged, dtype=h5py.vlen_dtype("i4"))
        data.attrs.create("state", 1, dtype=h5py.enum_dtype({"OFF": 0, "ON": 1}, basetype="i1"))
        data.dims[0].label = "time"
        file["entry"].attrs["NX_class"] = "NXentry"
        file.attrs["creator"] = "beamline"
        old = {name: data.attrs.get_id(name).dtype for name in data.attrs}
    copy(tmp_path / "in.h5", tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        data = file["entry/data"]
        assert data.attrs["units"] == "counts"
        assert list(data.attrs["axes"]) == ["frame", "y", "x"]
        assert list(data.attrs["flags"]) == [True, False]
        assert [list(row) for row in data.attrs["ragged"]] == [[0, 1], [0, 1, 2]]
        assert isinstance(data.attrs["empty"], h5py.Empty)
        assert data.dims[0].label == "time"
        assert {name: data.attrs.get_id(name).dtype for name in old} == old
        assert "model 1234" in data.attrs["skydenoise"]
        assert file["entry"].attrs["NX_class"] == "NXentry"
        assert file.attrs["creator"] == "beamline"
        assert (data.compression, data.chunks) == ("gzip", (1, 8, 9))


def test_links_to_what_is_not_copied_are_left_out(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["data"], file["time"] = make_stack(4, 8, 9), np.arange(4)
        file["time"].make_scale()
        file["data"].dims[0].attach_scale(file["time"])
        file["data"].attrs["dark"] = file["time"].ref
        file["data"].attrs["units"] = "counts"
    copy(tmp_path / "in.h5", tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert set(file["data"].attrs) == {"units", "skydenoise"}
        assert list(file) == ["data"]


def test_an_unknown_compression_is_told_when_the_file_is_opened(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((1, 8, 9))
        plan.set_filter(32017, h5py.h5z.FLAG_OPTIONAL)  # SZ, of which h5py knows nothing
        space = h5py.h5s.create_simple((3, 8, 9))
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_INT16, space, plan)
        for frame in range(3):
            file["data"].id.write_direct_chunk((frame, 0, 0), bytes(144), 0)
    with (
        pytest.raises(SettingsError, match=r"in.h5: its compression \(HDF5 filter 32017\) is not installed"),
        open_stack(StackFile(tmp_path / "in.h5")),
    ):
        pass


def test_a_small_file_of_a_frame_beyond_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("frames", (2, 400_000, 400_000), "u1", chunks=(1, 1000, 1000), compression="gzip")
    with (
        open_stack(StackFile(tmp_path / "in.h5")) as stack,
        pytest.raises(StepError, match=r"in\.h5: [\d.e+]+ GB are needed for its pixels, the job has"),
    ):
        stack.read(1)
