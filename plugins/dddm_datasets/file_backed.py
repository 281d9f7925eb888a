"""The data sets that are read from files: each a source, packed once.

They are functions, not classes: what differs is the source, and `PackedDataset` does the rest.
"""

from dddm.interfaces.dataset import Dataset
from dddm.support.packed_dataset import PackedDataset
from dddm_datasets.cifar10_source import Cifar10Source
from dddm_datasets.first_images import FirstImages
from dddm_datasets.options import Cifar10Options


def cifar10(options: Cifar10Options) -> Dataset:
    """CIFAR-10: `train` has 50,000 images, or its first; `held-out` the 10,000 test images."""
    source = Cifar10Source(path=options.path)
    whole = PackedDataset(name="cifar10", source=source, packed=options.packed)
    count = options.train_images
    return whole if count is None else FirstImages(whole, count=count)
