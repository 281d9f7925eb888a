"""Arrays are read in stretches, whole or not at all, and never unpickled."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dddm.errors import DataError
from dddm_datasets import npz_arrays
from dddm_datasets.npz_arrays import read_blocks, read_headers, read_labels

ROWS = np.random.default_rng(0).integers(0, 256, (10, 3, 7), dtype=np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_stretches_are_the_rows(
    tmp_path: Path, save: object, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, compressed or not, in C or Fortran order, none missing."""
    monkeypatch.setattr(npz_arrays, "_BLOCK_BYTES", 70)
    path = tmp_path / "a.npz"
    assert callable(save)
    save(path, rows=np.array(ROWS, order=order), more=np.arange(3))  # type: ignore[call-overload]  # order is a Literal
    pieces = list(read_blocks(path, "rows"))
    assert len(pieces) == (4 if order == "C" else 1)
    assert np.array_equal(np.concatenate(pieces), ROWS)
    assert {name: header.shape for name, header in read_headers(path).items()} == {
        "rows": (10, 3, 7), "more": (3,),
    }  # fmt: skip
    assert read_labels(path, "more", images=3, lowest=0, highest=2).tolist() == [0, 1, 2]


def test_python_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, rows=np.array([{}, []], dtype=object))
    for read in (read_headers, lambda path: list(read_blocks(path, "rows"))):
        with pytest.raises(DataError, match="Python objects"):
            read(path)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    """The archive's checksum is verified once the array is read to its end."""
    path = tmp_path / "a.npz"
    np.savez(path, rows=ROWS)
    data = bytearray(path.read_bytes())
    place = data.index(ROWS.tobytes()) + 100
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="CRC"):
        list(read_blocks(path, "rows"))


def test_what_is_no_archive_is_an_error_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for data in (b"", b"nonsense", b"PK\x03\x04 and no more"):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a\.npz cannot be read"):
            read_headers(path)


@pytest.mark.parametrize("shape", [(9, 3, 7), (10**12, 3, 7)])
def test_a_header_that_does_not_match_its_data_is_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("rows.npy", header.getvalue() + ROWS.tobytes())
    with pytest.raises(DataError, match=r"rows\.npy is declared as .* has 210 bytes of data"):
        read_headers(tmp_path / "a.npz")
