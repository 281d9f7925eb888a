"""Damages files of every kind that data sets and weights are read from, and reads them.

    python benchmarks/attack_files.py --files 2000

Each is a small whole file with one to four pieces changed, moved, cut out or put in.  It must be
read, or refused by an error or a problem that names it; `tests/toys/attack.py` says what else is
looked for.  `damaged_runs.py` does the same to the files of run folders.
"""

import io
import json
import pickle
import random
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import click
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "toys"))

from attack import Findings, chance_of, damaged, progress

from dddm.data.examine import examine_dataset
from dddm.data.pack import pack, verify_packed
from dddm.data.packed import open_packed
from dddm.errors import DataError
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.dataset import Dataset
from dddm.support.state_dict import read_state_dict
from dddm_datasets.cifar10_pickle import read_values
from dddm_datasets.file_backed import folder, npz, zip_archive
from dddm_datasets.image_files import FolderFiles
from dddm_datasets.image_source import ImageSource
from dddm_datasets.options import ImageFilesOptions, NpzOptions

_SIZE: Final = (9, 7)
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
_MODES: Final = ("RGB", "L", "P", "RGBA", "LA", "I;16", "CMYK", "1")


def image(chance: random.Random, *, kind: str) -> bytes:
    """An image file of that kind, in any mode that it can hold."""
    for mode in chance.sample(_MODES, len(_MODES)):
        channels = {"RGB": 3, "RGBA": 4, "LA": 2, "CMYK": 4}.get(mode, 1)
        shape = (*_SIZE[::-1], channels)[: 3 if channels > 1 else 2]
        values = np.random.default_rng(chance.randrange(2**32)).integers(0, 256, shape)
        if mode in {"P", "1"}:
            made = Image.fromarray(values.astype(np.uint8)).convert(mode)
        elif mode == "I;16":
            made = Image.fromarray((values * 257).astype(np.uint16))
        else:
            made = Image.fromarray(values.astype(np.uint8), mode)
        data = io.BytesIO()
        options: dict[str, Any] = {}
        if kind == "TIFF":
            options = {"compression": chance.choice((None, "tiff_lzw", "tiff_deflate"))}
        if kind in {"JPEG", "WEBP"} and chance.random() < 0.5:
            options = {"progressive": True} if kind == "JPEG" else {"lossless": True}
        if kind == "GIF" and chance.random() < 0.5:
            options = {"save_all": True, "append_images": [made.rotate(180)]}
        try:
            made.save(data, kind, **options)
        except (OSError, ValueError):  # not in this mode
            continue
        return data.getvalue()
    raise AssertionError(kind)


def look(dataset: Dataset) -> str:
    """Check a data set, and read all images of its splits if there is no problem."""
    report = examine_dataset(dataset, workers=1)
    if report.problems:
        return "a problem by name"
    for split in dataset.splits().values():
        split.images(torch.arange(len(split)))
    return "read" if not report.left_out else "read without what is damaged"


def attack_images(kind: str, chance: random.Random, place: Path) -> str:
    """A folder of a whole image and a damaged one."""
    (place / "images" / "a").mkdir(parents=True)
    suffix = {"TIFF": "tif"}.get(kind, kind.lower())
    (place / "images" / "a" / "0.png").write_bytes(image(chance, kind="PNG"))
    file = place / "images" / "a" / f"1.{suffix}"
    file.write_bytes(damaged(image(chance, kind=kind), chance))
    return look(folder(options_for(place / "images", chance)))


def attack_zip(chance: random.Random, place: Path) -> str:
    """An archive of a few images."""
    data = io.BytesIO()
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(data, "w", method) as archive:
        for k in range(3):
            archive.writestr(f"{'ab'[k % 2]}/{k}.png", image(chance, kind="PNG"))
    (place / "a.zip").write_bytes(damaged(data.getvalue(), chance))
    return look(zip_archive(options_for(place / "a.zip", chance)))


def options_for(path: Path, chance: random.Random) -> ImageFilesOptions:
    """Damaged images are refused, or left out."""
    skip: Literal["refuse", "skip"] = "skip" if chance.random() < 0.5 else "refuse"
    return ImageFilesOptions(path=str(path), packed=str(path.parent / "packed"), damaged=skip)


def attack_npz(chance: random.Random, place: Path) -> str:
    """Images and labels."""
    data = io.BytesIO()
    save_to = chance.choice((np.savez, np.savez_compressed))
    save_to(data, images=np.zeros((5, 4, 4, 3), np.uint8), labels=np.arange(5) % 2)
    (place / "a.npz").write_bytes(damaged(data.getvalue(), chance))
    return look(npz(NpzOptions(path=str(place / "a.npz"), packed=str(place / "packed"))))


def attack_packed(name: str, chance: random.Random, place: Path) -> str:
    """One file of a packed folder."""
    (place / "images" / "a").mkdir(parents=True)
    for k in range(4):
        (place / "images" / "a" / f"{k}.png").write_bytes(image(chance, kind="PNG"))
    options = ImageFilesOptions(path=str(place / "images"))
    source = ImageSource(files=FolderFiles(path=place / "images"), options=options)
    packed = place / "packed"
    pack(source, folder=packed, key="key", workers=1, progress=no_progress)
    data = damaged((packed / name).read_bytes(), chance)
    if name == "manifest.json" and chance.random() < 0.5:
        data = other_json((packed / name).read_bytes(), chance)
    (packed / name).write_bytes(data)
    problems = verify_packed(packed, key="key", progress=no_progress)
    try:
        for split in open_packed(packed).values():
            split.images(torch.arange(len(split)))
            split.labels(torch.arange(len(split)))
    except DataError:
        if not problems:
            raise AssertionError("a folder that cannot be opened has no problem") from None
    return "a problem by name" if problems else "read"


def other_json(data: bytes, chance: random.Random) -> bytes:
    """Valid JSON, with another value somewhere."""
    table = json.loads(data)
    value = table
    while True:
        key = chance.choice(list(value) if isinstance(value, dict) else list(range(len(value))))
        if not isinstance(value[key], dict | list) or not value[key] or chance.random() < 0.2:
            break
        value = value[key]
    value[key] = chance.choice((None, -1, 0, 2**70, 1.5, "", "x" * 10_000, [], {}, [[[]]], True))
    return json.dumps(table).encode()


def attack_pickle(chance: random.Random, place: Path) -> str:
    """A batch like CIFAR-10's; it is read only with the published MD5, but hold what it may."""
    del place
    value = {"labels": [1, 2], "names": ["a"], "data": np.zeros((2, 3), np.uint8)}
    read_values(damaged(pickle.dumps(value, chance.randrange(6)), chance), where="here")
    return "read"


def attack_weights(kind: str, chance: random.Random, place: Path) -> str:
    """A state dict of torch.save, or safetensors in its place."""
    tensors = {"a": torch.zeros(3, 2), "b": torch.ones(5, dtype=torch.int64)}
    data = io.BytesIO()
    torch.save(tensors, data)
    whole = data.getvalue() if kind == "torch" else save(tensors)
    (place / "w.pt").write_bytes(damaged(whole, chance))
    read_state_dict(place / "w.pt", remedy="get it again")
    return "read"


ATTACKS: Final[Mapping[str, Callable[[random.Random, Path], str]]] = {
    **{kind: partial(attack_images, kind) for kind in _FORMATS},
    "zip": attack_zip,
    "npz": attack_npz,
    "manifest.json": partial(attack_packed, "manifest.json"),
    "train.images.npy": partial(attack_packed, "train.images.npy"),
    "train.labels.npy": partial(attack_packed, "train.labels.npy"),
    "pickle": attack_pickle,
    "torch": partial(attack_weights, "torch"),
    "safetensors": partial(attack_weights, "safetensors"),
}


def attack(numbers: range, place: Path) -> Findings:
    """Damage and read the files of these numbers, of each kind in turn."""
    findings, kinds = Findings(), list(ATTACKS)
    with progress(len(numbers)) as shown:
        for k, number in enumerate(numbers, 1):
            kind = kinds[number % len(kinds)]
            aside = place / "try"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            chance = chance_of(number)
            findings.try_one(
                f"file {number} ({kind})",
                lambda: f"{kind}: {ATTACKS[kind](chance, aside)}",
            )
            shown(k)
    return findings


@click.command()
@click.option("--files", default=2000)
@click.option("--first", default=0)
def main(files: int, first: int) -> None:
    """Attack, and exit with 1 if anything is found."""
    with tempfile.TemporaryDirectory() as place:
        sys.exit(attack(range(first, first + files), Path(place)).show() > 0)


if __name__ == "__main__":
    main()
