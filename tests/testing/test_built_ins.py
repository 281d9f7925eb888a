"""The built-ins keep every promise that third-party components must keep."""

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from PIL import Image
from planted.bug import outcome_of
from safetensors.torch import save_file
from trunks import save_trunk

from dddm.interfaces.plugin import Kind
from dddm.registry.component import Component
from dddm.registry.loader import load_catalogue
from dddm.testing.conformance import trials_of
from dddm_features.resnet20_network import ResNet20

EVERY: Final = load_catalogue().components()
KNOWN: Final = (
    "there is no GPU here", "the weights ", "what it needs is missing",
    "it says that it is not prefix-consistent", "real times have no largest number of steps",
    "with these options it is known only once files are read", "recipes have no table for a ",
    "its info says that it has no forward-mode derivative", "its info says that it needs logits",
    "it does not say that it has a gradient", "it has no memory",
    "it does not say which denoiser is best", "it stays at one time",
    "it uses no labels", "it writes no files",
)  # fmt: skip
"""How reasons begin for which a check of a built-in may be skipped."""


@pytest.mark.parametrize("component", EVERY, ids=lambda c: f"{c.kind.value}-{c.name}")
def test_built_ins_keep_their_promises(component: Component) -> None:
    """With their declared examples; checks are skipped only without files or a GPU, or where
    the component does not claim the property.
    """
    assert "options.read" in passed(component.id, kind=component.kind, skipped=KNOWN)
    assert component.conformance.expected_failures == component.conformance.lacks == {}


def passed(
    name: str,
    *,
    kind: Kind | None = None,
    table: dict[str, Any] | None = None,
    skipped: tuple[str, ...] = ("",),
    left_out: str = "",
) -> set[str]:
    """Names of checks that passed; none may fail, or be skipped for another reason than these."""
    names = set()
    for trial in trials_of(name, kind=kind, examples=None if table is None else [table]):
        if trial.check.name == left_out:
            continue
        outcome = outcome_of(trial)
        allowed = ("passed", *(f"skipped: {reason}" for reason in skipped))
        assert outcome.startswith(allowed), f"{trial}: {outcome}"
        if outcome == "passed":
            names.add(trial.check.name)
    return names


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Images in files of every kind, and a cache for what is packed of them."""
    place = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 4)):
        for label in ("cats", "dogs"):
            folder = place / "folder" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (6, 5, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    with zipfile.ZipFile(place / "images.zip", "w") as archive:
        for path in sorted((place / "folder").rglob("*.png")):
            archive.write(path, path.relative_to(place / "folder"))
    with tarfile.open(place / "images.tar", "w") as archive:
        archive.add(place / "folder" / "train", "")
    with suppress(ImportError):
        import pyarrow as pa
        import pyarrow.parquet as pq

        encoded = [path.read_bytes() for path in sorted((place / "folder").rglob("*.png"))]
        labels = [k % 3 for k in range(len(encoded))]
        pq.write_table(pa.table({"image": encoded, "label": labels}), place / "images.parquet")
    images = draw.integers(0, 256, (11, 5, 4, 3), dtype=np.uint8)
    np.savez(place / "images.npz", images=images, labels=np.arange(11) % 3)
    for split, count in (("train_data_batch_1", 7), ("val_data", 3)):
        np.savez(
            place / f"{split}.npz",
            data=draw.integers(0, 256, (count, 3 * 64 * 64), dtype=np.uint8),
            labels=draw.integers(1, 1001, count),
            mean=np.zeros(3 * 64 * 64),
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDDM_CACHE", str(place / "cache"))
        yield place


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("folder", {"path": "folder"}),
        ("folder", {"path": "folder", "size": 4, "channels": "grey", "classes": "none"}),
        ("zip", {"path": "images.zip"}),
        ("webdataset", {"path": "images.tar", "held_out_images": 3}),
        ("parquet", {"path": "images.parquet", "held_out_images": 3}),
        ("npz", {"path": "images.npz", "held_out_images": 3}),
        ("npz", {"path": "images.npz", "classes": "none"}),
        ("imagenet64", {"path": ".", "subset": True}),
    ],
)
def test_data_sets_of_files_keep_their_promises(
    place: Path, name: str, options: dict[str, Any]
) -> None:
    """On files that are here: nothing of their own kind is left out but a missing `describe`."""
    if name == "parquet":
        pytest.importorskip("pyarrow")
    table = {**options, "path": str(place / options["path"])}
    # Six images cannot be of a thousand classes.
    left_out = "dataset.every-class-has-images" if name == "imagenet64" else ""
    assert passed(f"dddm:{name}", table=table, left_out=left_out) >= {
        "dataset.splits", "dataset.images", "dataset.order", "dataset.labels", "dataset.manifest",
        "dataset.own-tensors", "dataset.opens-again", "dataset.prepares",
        "dataset.finds-itself-in-order",
    }  # fmt: skip


REAL = Path(os.environ.get("DDDM_DATA", "data")) / "cifar-10-batches-py"


@pytest.mark.skipif(not REAL.is_dir(), reason="CIFAR-10 is not there: set DDDM_DATA")
def test_cifar10_keeps_its_promises(tmp_path: Path) -> None:
    """The real one, packed here."""
    table = {"path": str(REAL), "packed": str(tmp_path / "packed")}
    assert "dataset.described" in passed("dddm:cifar10", table=table)


@pytest.mark.parametrize("form", [None, "pseudo", "sqrt", "plain"])
def test_perceptual_metrics_keep_their_promises(tmp_path: Path, form: str | None) -> None:
    """With a trunk of random weights, which a promise does not ask about."""
    table = {**save_trunk(tmp_path, "squeeze"), "size": 32}
    name = "lpips" if form is None else "pseudo-lpips"
    table = table if form is None else {**table, "form": form}
    assert len(passed(f"dddm:{name}", table=table)) >= 23


def test_resnet20_keeps_its_promises(tmp_path: Path) -> None:
    """With random weights."""
    torch.manual_seed(0)
    state = {n: v for n, v in ResNet20().state_dict().items() if "num_batches" not in n}
    path = tmp_path / "mine.safetensors"
    save_file(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    table = {"weights": str(path), "weights_sha256": digest}
    assert len(passed("dddm:resnet20", table=table)) >= 22
