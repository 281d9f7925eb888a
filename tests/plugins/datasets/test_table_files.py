"""Parquet and arrow files that Hugging Face's `datasets` wrote, and damaged ones."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from PIL import Image

from dddm.data.packed_format import count_left_out
from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.dataset import Dataset
from dddm_datasets.file_backed import hugging_face, parquet
from dddm_datasets.image_decode import ImageError
from dddm_datasets.options import HuggingFaceOptions, ParquetOptions
from dddm_datasets.table_files import LocalTables

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

NAMES: Final = ["zebra", "ant", "cat/tabby"]


def pixels(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def png(seed: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels(seed)).save(data, "PNG")
    return data.getvalue()


def table(count: int, *, names: list[str] | None = None, **columns: Any) -> Any:
    """As `datasets` lays one out: a struct of bytes and path, the names in the schema."""
    images = [{"bytes": png(k), "path": f"{k}.png"} for k in range(count)]
    made = pa.table({"image": images, "label": [k % 3 for k in range(count)], **columns})
    if names is not None:
        noted = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        made = made.replace_schema_metadata({"huggingface": json.dumps(noted)})
    return made


def dataset(path: Path, **options: Any) -> Dataset:
    return parquet(ParquetOptions(path=str(path), **options))


def same_images(found: Dataset, count: int) -> bool:
    """Whether the training images are the first ones, in their order."""
    images = found.splits()["train"].images(torch.arange(count)).numpy()
    return np.array_equal(images, np.stack([pixels(k).transpose(2, 0, 1) for k in range(count)]))


def test_rows_of_a_parquet_file(tmp_path: Path) -> None:
    """Over several row groups; classes keep the order of their labels."""
    pq.write_table(table(70, names=NAMES), tmp_path / "a.parquet", row_group_size=25)
    found = dataset(tmp_path / "a.parquet")
    train = found.splits()["train"]
    assert len(train) == 70
    assert train.classes == ("zebra", "ant", "cat∕tabby")
    assert torch.as_tensor(train.labels(torch.arange(70))).tolist() == [k % 3 for k in range(70)]
    assert same_images(found, 70)


def test_rows_are_read_in_any_order(tmp_path: Path) -> None:
    """Backwards, and across row groups."""
    pq.write_table(table(50), tmp_path / "a.parquet", row_group_size=20)
    files = LocalTables(path=tmp_path / "a.parquet", image="image", label=None)
    names = files.listing().names
    for k in (49, 0, 21, 20, 19, 3, 39, 40):
        assert files.read(names[k]) == png(k)


@pytest.mark.parametrize("form", ["stream", "file"])
def test_rows_of_an_arrow_file(tmp_path: Path, form: str) -> None:
    """Of the format of streams, which `datasets` writes, and that of files."""
    whole = table(40, names=NAMES)
    make = {"stream": pa.ipc.new_stream, "file": pa.ipc.new_file}[form]
    with make(str(tmp_path / "a.arrow"), whole.schema) as writer:
        writer.write_table(whole, max_chunksize=16)
    found = dataset(tmp_path / "a.arrow")
    assert same_images(found, 40)
    assert found.splits()["train"].classes[0] == "zebra"


def test_what_datasets_writes_is_read(tmp_path: Path) -> None:
    """By to_parquet, by save_to_disk with splits, and by load_dataset under a name."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["zebra", "ant"])
    )

    def rows(count: int) -> Any:
        images = [Image.fromarray(pixels(k)) for k in range(count)]
        labels = [k % 2 for k in range(count)]
        return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)

    whole = datasets.DatasetDict(train=rows(12), test=rows(4))
    whole.save_to_disk(tmp_path / "saved")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for name, split in whole.items():
        split.to_parquet(tmp_path / "hub" / "data" / f"{name}-00000-of-00001.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        for found in (
            dataset(tmp_path / "saved"),
            dataset(tmp_path / "hub"),
            hugging_face(HuggingFaceOptions(name=str(tmp_path / "hub"))),
        ):
            splits = found.splits()
            assert {name: len(split) for name, split in splits.items()} == {
                "train": 12, "held-out": 4,
            }  # fmt: skip
            assert splits["train"].classes == ("zebra", "ant")
            labels = torch.as_tensor(splits["train"].labels(torch.arange(12)))
            assert labels.tolist() == [k % 2 for k in range(12)]
            assert same_images(found, 12)


def test_a_data_set_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(DataError, match="cannot be loaded"):
        hugging_face(HuggingFaceOptions(name=str(tmp_path / "none"))).splits()


def test_options_of_images_hold(tmp_path: Path) -> None:
    """Size, color, held-out images, the first of each class, damaged ones left out."""
    images = [png(k) if k != 4 else b"no image" for k in range(12)]
    labels = ["b", "a"] * 6
    pq.write_table(pa.table({"img": images, "fine": labels}), tmp_path / "a.parquet")
    found = dataset(
        tmp_path / "a.parquet", image="img", label="fine",
        size=4, channels="grey", damaged="skip", held_out_images=2, train_images=4,
    )  # fmt: skip
    splits = found.splits()
    assert (len(splits["train"]), len(splits["held-out"])) == (4, 2)
    assert splits["train"].shape.as_tuple == (1, 4, 4)
    assert splits["train"].classes == ("a", "b")
    folder = found.prepare()
    assert folder is not None
    assert count_left_out(folder) == 1


def test_labels_can_be_ignored(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [png(0), png(1)]}), tmp_path / "a.parquet")
    assert dataset(tmp_path / "a.parquet", classes="none").splits()["train"].classes == ()


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"image": [png(0)]}, {}, "no column 'label'"),
        ({"picture": [png(0)], "label": [0]}, {}, "no column 'image'"),
        ({"image": [png(0)], "label": [None]}, {}, "no label"),
        ({"image": [png(0)], "label": [-1]}, {}, "no label"),
        ({"image": [png(0)], "label": ["\x1b[31m"]}, {}, "not a printable name"),
        ({"image": ["text"], "label": [0]}, {}, "holds string, not bytes"),
        ({"image": [b""], "label": [0]}, {}, "no bytes"),
        ({"image": [{"bytes": None, "path": "/etc/passwd"}], "label": [0]}, {}, "no bytes"),
        ({"image": [b"no image"], "label": [0]}, {}, "none of the 1 images"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, columns: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    made = pa.table(columns)
    if "image" in columns and isinstance(columns["image"][0], dict):
        made = made.set_column(
            0, "image", pa.array(columns["image"], pa.struct({"bytes": "binary", "path": "string"}))
        )
    pq.write_table(made, tmp_path / "a.parquet")
    size = {"size": 4} if "bytes" in message else {}
    with pytest.raises(DataError, match=message) as caught:
        dataset(tmp_path / "a.parquet", **options, **size).splits()
    assert str(caught.value.where).startswith(str(tmp_path))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_damaged_files_are_errors(tmp_path: Path, suffix: str) -> None:
    """Cut anywhere, or with bytes changed: an error or other images, never another exception."""
    path = tmp_path / f"a.{suffix}"
    whole = table(20, names=NAMES)
    if suffix == "parquet":
        pq.write_table(whole, path)
    else:
        with pa.ipc.new_stream(str(path), whole.schema) as writer:
            writer.write_table(whole)
    data = path.read_bytes()
    draw = np.random.default_rng(0)
    for number in range(150):
        damaged = bytearray(data)
        if number % 3 == 0:
            del damaged[int(draw.integers(len(data))) :]
        else:
            for at in draw.integers(len(data), size=4):
                damaged[at] = draw.integers(256)
        bad = tmp_path / f"bad-{number}.{suffix}"
        bad.write_bytes(damaged)
        files = LocalTables(path=bad, image="image", label="label")
        try:
            names = files.listing().names
        except DataError:
            continue
        for name in names[:20]:
            try:
                files.read(name)
            except ImageError:
                continue


BOMB: Final = r"""
import re, sys
from pathlib import Path
from dddm_datasets.image_decode import ImageError
from dddm_datasets.table_files import LocalTables
files = LocalTables(path=Path(sys.argv[1]), image="image", label=None)
names = files.listing().names
try:
    files.read(names[0])
except ImageError as error:
    print(error)
print(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
@pytest.mark.parametrize("kind", ["plain", "dictionary"])
def test_a_bomb_is_an_error(tmp_path: Path, kind: str) -> None:
    """Zeros that unpack a thousandfold; one value of 500 MB that each row repeats."""
    images = pa.array([bytes(500_000_000)] * (1 if kind == "dictionary" else 5), pa.large_binary())
    if kind == "dictionary":
        images = pa.DictionaryArray.from_arrays(pa.array([0] * 16), images.cast("binary"))
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"image": images}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True
    )
    message, kilobytes = done.stdout.splitlines()
    assert "more than 2 GiB of memory" in message
    assert int(kilobytes) < 2_500_000


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(table(3), tmp_path / "a.parquet")
    for module, found in (
        ("pyarrow", dataset(tmp_path)),
        ("datasets", hugging_face(HuggingFaceOptions(name="a/b"))),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(EnvironmentProblem) as caught:
            found.splits()
        assert "pip install 'dddm[" in str(caught.value.remedy)
