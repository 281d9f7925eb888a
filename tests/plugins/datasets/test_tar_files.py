"""WebDataset's archives are packed as they lie there, and what is wrong with them is named."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dddm.data.packed_format import count_left_out
from dddm.errors import DataError
from dddm.interfaces.dataset import Dataset
from dddm_datasets.file_backed import folder, webdataset
from dddm_datasets.options import ImageFilesOptions, WebDatasetOptions


def pixels(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def png(seed: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels(seed)).save(data, "PNG")
    return data.getvalue()


def write(path: Path, files: Mapping[str, bytes], *, mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def dataset(path: Path, **options: Any) -> Dataset:
    return webdataset(WebDatasetOptions(path=str(path), **options))


def samples(*labels: object, first: int = 0) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for number, label in enumerate(labels, first):
        files |= {f"{number:05}.png": png(number), f"{number:05}.cls": str(label).encode()}
    return files


def test_samples_have_the_class_of_their_file(tmp_path: Path) -> None:
    """In the order of the archive; numbers are ordered by value."""
    train = dataset(write(tmp_path / "a.tar", samples(10, 2, 10, 0))).splits()["train"]
    assert train.classes == ("0", "2", "10")
    assert torch.as_tensor(train.labels(torch.arange(4))).tolist() == [2, 1, 2, 0]
    expected = np.stack([pixels(k).transpose(2, 0, 1) for k in range(4)])
    assert np.array_equal(train.images(torch.arange(4)).numpy(), expected)


def test_a_folder_of_shards_has_their_splits(tmp_path: Path) -> None:
    """As ShardWriter names them; samples with the same key in two archives are two."""
    write(tmp_path / "train-000000.tar", samples("cat", "dog"))
    write(tmp_path / "train-000001.tar", samples("dog", "cat", "cat"))
    write(tmp_path / "val-000000.tar", samples("dog"))
    splits = dataset(tmp_path).splits()
    assert {name: len(split) for name, split in splits.items()} == {"train": 5, "held-out": 1}
    labels = torch.as_tensor(splits["train"].labels(torch.arange(5)))
    assert [splits["train"].classes[label] for label in labels] == [
        "cat", "dog", "dog", "cat", "cat",
    ]  # fmt: skip


def test_a_label_in_json_counts(tmp_path: Path) -> None:
    """`label` of an object; captions and numbers beside it are left alone."""
    files = {
        "a.png": png(0), "a.json": json.dumps({"label": "cat", "width": 5}).encode(),
        "b.png": png(1), "b.json": json.dumps({"label": 3}).encode(), "b.txt": b"a caption",
    }  # fmt: skip
    assert dataset(write(tmp_path / "a.tar", files)).splits()["train"].classes == ("3", "cat")


def test_without_labels_folders_are_classes(tmp_path: Path) -> None:
    """An archive of a plain folder is that folder."""
    files = {f"{animal}/{k}.png": png(k) for animal in ("cat", "dog") for k in range(3)}
    for name, data in files.items():
        (tmp_path / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / name).write_bytes(data)
    packed = dataset(write(tmp_path / "a.tar", files)).splits()["train"]
    plain = folder(ImageFilesOptions(path=str(tmp_path / "plain"))).splits()["train"]
    assert (packed.manifest, packed.classes) == (plain.manifest, plain.classes)


def test_options_of_images_hold(tmp_path: Path) -> None:
    """Size, color, held-out images, the first of each class, damaged ones left out."""
    files = {**samples(*[0, 1] * 5), "00003.png": b"no image"}
    train = dataset(
        write(tmp_path / "a.tar", files),
        size=4, channels="grey", damaged="skip", held_out_images=2, train_images=4,
    )  # fmt: skip
    splits = train.splits()
    assert len(splits["train"]) == 4
    assert splits["train"].shape.as_tuple == (1, 4, 4)
    assert len(splits["held-out"]) == 2
    folder = train.prepare()
    assert folder is not None
    assert count_left_out(folder) == 1


def test_labels_can_be_ignored(tmp_path: Path) -> None:
    train = dataset(write(tmp_path / "a.tar", samples(0, 1)), classes="none").splits()["train"]
    assert train.classes == ()


def test_the_real_package_writes_what_is_read(tmp_path: Path) -> None:
    """WebDataset's own writer of shards."""
    wds = pytest.importorskip("webdataset")
    with wds.ShardWriter(str(tmp_path / "train-%06d.tar"), maxcount=3, verbose=0) as shards:
        for k in range(7):
            shards.write({"__key__": f"{k:04}", "png": pixels(k), "cls": k % 2})
    train = dataset(tmp_path).splits()["train"]
    assert len(list(tmp_path.glob("*.tar"))) == 3
    assert torch.as_tensor(train.labels(torch.arange(7))).tolist() == [k % 2 for k in range(7)]
    expected = np.stack([pixels(k).transpose(2, 0, 1) for k in range(7)])
    assert np.array_equal(train.images(torch.arange(7)).numpy(), expected)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"../a.png": b""}, "leads out"),
        ({"/a.png": b""}, "leads out"),
        ({"\x1b[31ma.png": b""}, "cannot be printed"),
        ({"a.png": png(0), "a.cls": b"0", "b.png": png(1)}, "no label"),
        ({"a.png": png(0), "a.cls": b""}, "label is empty"),
        ({"a.png": png(0), "a.cls": b"\x1b[31m"}, "not a printable name"),
        ({"a.png": png(0), "a.cls": b"\xff"}, "cannot be read"),
        ({"a.png": png(0), "a.json": b"[" * 60_000}, "cannot be read"),
        ({"a.txt": b""}, "contains no images"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        dataset(write(tmp_path / "a.tar", files)).splits()
    assert str(caught.value.where).startswith(str(tmp_path / "a.tar"))


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    """It would have to be unpacked from its beginning for each image."""
    write(tmp_path / "a.tar", samples(0), mode="w:gz")
    with pytest.raises(DataError) as caught:
        dataset(tmp_path / "a.tar").splits()
    assert "uncompressed first" in str(caught.value.remedy)


def test_links_and_sparse_files_are_not_followed(tmp_path: Path) -> None:
    """A link could name any file of this machine, a sparse file claim any size."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(9))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("a.png", tarfile.SYMTYPE),
            ("b.png", tarfile.LNKTYPE),
            ("d.png", tarfile.GNUTYPE_SPARSE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
        info = tarfile.TarInfo("c.png")
        info.size = len(png(1))
        archive.addfile(info, io.BytesIO(png(1)))
    assert len(dataset(tmp_path / "a.tar", classes="none").splits()["train"]) == 1


def test_a_size_that_the_archive_does_not_hold_is_damage(tmp_path: Path) -> None:
    """A header that claims 50 MB or 100 GB allocates nothing."""
    for claimed in (50_000_000, 100_000_000_000):
        info = tarfile.TarInfo("b.png")
        info.size = claimed
        path = write(tmp_path / f"{claimed}.tar", {"a.png": png(0)})
        data = path.read_bytes()
        whole = data[: 512 + 512 * -(-len(png(0)) // 512)]
        path.write_bytes(whole + info.tobuf(format=tarfile.GNU_FORMAT) + bytes(2048))
        with pytest.raises(DataError, match="unexpected end"):
            dataset(path, classes="none").splits()


def test_a_changed_archive_is_packed_again(tmp_path: Path) -> None:
    """What was found is kept for one data set only."""
    path = write(tmp_path / "a.tar", samples(0, 1))
    assert len(dataset(path).splits()["train"]) == 2
    write(path, samples(0, 1, 0))
    assert len(dataset(path).splits()["train"]) == 3
