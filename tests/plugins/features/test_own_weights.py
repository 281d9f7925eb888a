"""A file of one's own is used only with its hash, and it is said before training what is wrong."""

from pathlib import Path

import pytest

from dddm.errors import DataError
from dddm.support.files import sha256_of
from dddm_features.own_weights import check_own_weights, own_file


@pytest.mark.parametrize(
    ("weights", "sha256", "named"),
    [
        (None, None, []),
        ("a", "0" * 64, []),
        ("a", "AB" * 32, []),
        ("a", None, ["weights_sha256"]),
        (None, "0" * 64, ["weights"]),
        ("a", "0" * 63, ["weights_sha256"]),
        ("a", "g" * 64, ["weights_sha256"]),
    ],
)
def test_the_two_go_together(weights: str | None, sha256: str | None, named: list[str]) -> None:
    """Half of the two is named, and so is what is no SHA-256."""
    found = [c.option for c in check_own_weights(weights=weights, sha256=sha256)]
    assert found == named


def test_only_the_right_file_is_used(tmp_path: Path) -> None:
    """Missing, without a hash (which is then given), or another: errors that name the path."""
    path = tmp_path / "mine.pth"
    with pytest.raises(DataError, match="there is no file"):
        own_file(str(path), sha256="0" * 64)
    path.write_bytes(b"weights")
    with pytest.raises(DataError, match="only with their hash") as caught:
        own_file(str(path), sha256=None)
    assert sha256_of(path) in str(caught.value.remedy)
    with pytest.raises(DataError, match="wrong hash") as caught:
        own_file(str(path), sha256="0" * 64)
    assert caught.value.where == str(path)
    assert own_file(str(path), sha256=sha256_of(path).upper()) == path
