"""What is known of data without reading images is true, and where nothing is known it says so."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from dddm_datasets.file_backed import npz
from dddm_datasets.options import NpzOptions, describe_packed


def test_a_named_packed_folder_describes_the_data(tmp_path: Path) -> None:
    """By its manifest; before it is there, and without a name, nothing is known."""
    images = np.zeros((5, 2, 4, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.array([0, 1, 2, 1, 0]))
    path = str(tmp_path / "a.npz")
    options = NpzOptions(path=path, packed=str(tmp_path / "packed"))
    assert describe_packed(options) is None
    split = npz(options).splits()["train"]
    facts = describe_packed(options)
    assert facts is not None
    assert (facts.shape, facts.train_images, facts.classes) == (split.shape, 5, split.classes)
    assert describe_packed(NpzOptions(path=path)) is None


def test_declaring_file_data_imports_nothing_heavy() -> None:
    code = (
        "import sys, dddm_datasets, dddm_datasets.options;"
        "sys.exit(bool({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_decoding_imports_no_torch() -> None:
    """Each worker process imports what decodes, and must not wait for torch."""
    code = (
        "import sys, dddm_datasets.image_source, dddm_datasets.image_files;"
        "import dddm_datasets.cifar10, dddm_datasets.imagenet64;"
        "import dddm_datasets.npz, dddm.data.pack, dddm.data.examine;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
