"""Digests are those that sha256sum writes, so that a user can check them."""

import hashlib
from pathlib import Path

import pytest

from skydenoise.io.digest import file_digest, joint_digest


def test_file_digest_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert file_digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_missing_file_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "abc")


def test_joint_digest_tells_order_and_content_apart() -> None:
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert joint_digest([one, two]) == hashlib.sha256((one + two).encode()).hexdigest()
    assert len({joint_digest(each) for each in ([one, two], [two, one], [one], [])}) == 4
