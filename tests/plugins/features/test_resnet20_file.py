"""The weights of ResNet-20 are found, or it is said where they come from and where they go."""

import os
from pathlib import Path

import pytest

from dddm.errors import DataError
from dddm.support.files import sha256_of
from dddm_features.resnet20_file import needs_resnet20, resnet20_path
from dddm_features.resnet20_options import RESNET20_WEIGHTS, ResNet20Options

REAL = Path(os.environ.get("DDDM_DATA", "data")) / "cifar10-resnet20"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data without weights; none are anywhere else."""
    for variable in ("DDDM_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    monkeypatch.setenv("DDDM_DATA", str(tmp_path))
    return tmp_path


def test_one_s_own_file_needs_its_hash(tmp_path: Path) -> None:
    """Missing, without a hash, or with another one's: three errors before a file is used."""
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"weights")
    with pytest.raises(DataError, match="there is no file"):
        resnet20_path(ResNet20Options(weights=f"{path}.not", weights_sha256="0" * 64))
    with pytest.raises(DataError, match="only with their hash"):
        resnet20_path(ResNet20Options(weights=str(path)))
    with pytest.raises(DataError, match="wrong hash"):
        resnet20_path(ResNet20Options(weights=str(path), weights_sha256="0" * 64))
    right = ResNet20Options(weights=str(path), weights_sha256=sha256_of(path))
    assert resnet20_path(right) == path


def test_one_s_own_file_needs_no_other(nowhere: Path) -> None:
    """The known file is asked for only where none is named."""
    assert needs_resnet20(ResNet20Options()) == (RESNET20_WEIGHTS,)
    assert needs_resnet20(ResNet20Options(weights="a", weights_sha256="0" * 64)) == ()


def test_nowhere_to_be_found(nowhere: Path) -> None:
    """The error has the origin, the hash, the size, and how to make the file."""
    with pytest.raises(DataError) as caught:
        resnet20_path(ResNet20Options())
    assert RESNET20_WEIGHTS.sha256 in str(caught.value)
    assert "1,092,520" in str(caught.value)
    assert "akamaster/pytorch_resnet_cifar10" in str(caught.value)
    assert "convert_resnet20" in str(caught.value)


@pytest.mark.parametrize("size_bytes", [10, RESNET20_WEIGHTS.size_bytes])
def test_another_file_beside_the_data_is_refused(nowhere: Path, size_bytes: int) -> None:
    """In $DDDM_DATA/cifar10-resnet20 too, size and hash must be right."""
    path = nowhere / "cifar10-resnet20" / "resnet20.safetensors"
    path.parent.mkdir()
    path.write_bytes(bytes(size_bytes))
    with pytest.raises(DataError, match=r"wrong (size|hash)") as caught:
        resnet20_path(ResNet20Options())
    assert caught.value.where == str(path)


@pytest.mark.skipif(
    not (REAL / RESNET20_WEIGHTS.name).is_file(), reason="ResNet-20 is not there: set DDDM_DATA"
)
def test_the_real_file_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the data or in $DDDM_WEIGHTS, the real file has the size and hash written down."""
    for variable in ("DDDM_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert resnet20_path(ResNet20Options()) == REAL / RESNET20_WEIGHTS.name
    assert needs_resnet20(ResNet20Options()) == ()
    monkeypatch.setenv("DDDM_WEIGHTS", str(REAL))
    monkeypatch.delenv("DDDM_DATA")
    assert resnet20_path(ResNet20Options()) == REAL / RESNET20_WEIGHTS.name
