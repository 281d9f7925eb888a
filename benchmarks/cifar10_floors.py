"""Floors on real photographs: halves of CIFAR-10's training set, and its test set, as if generated.

    DDDM_DATA=… DDDM_WEIGHTS=… python benchmarks/cifar10_floors.py

In the features `resnet20`: what no generator needs to do better than.  Takes minutes on two cores.
"""

import torch

from dddm.evaluate.evaluator import measure
from dddm.evaluate.extract import extract
from dddm.interfaces.features import Extraction
from dddm.interfaces.plugin import Kind
from dddm.interfaces.score import Reference
from dddm.recipe.read import read_component
from dddm.registry.loader import load_catalogue
from dddm.support.noise import generator_for

SCORES = (
    "fd", "kid", "is", "precision-recall", "density-coverage", "authenticity"
)  # fmt: skip


def rows(found: Extraction, index: torch.Tensor) -> Extraction:
    """Some of the images."""
    logits = None if found.logits is None else found.logits[index]
    return Extraction(features=found.features[index], logits=logits)


def main() -> None:
    """Print a table."""
    catalogue = load_catalogue()
    dataset = catalogue.find(Kind.DATASET, "cifar10")
    data = dataset.load()(dataset.options())
    data.prepare(progress=lambda _what, _done, _total: None)
    splits = data.splits()
    component = catalogue.find(Kind.FEATURES, "resnet20")
    features = component.load()(component.options())
    train, test = (extract(features, splits[name]) for name in ("train", "held-out"))
    order = torch.randperm(len(train.features), generator=generator_for("halves"))
    half = len(order) // 2
    pairs = {
        "one half / the other": (rows(train, order[:half]), rows(train, order[half:])),
        "test / training": (test, train),
    }
    print("| real images / real images | " + " | ".join(("counts", *SCORES)) + " |")
    print("| --- |" + " ---: |" * (len(SCORES) + 1))
    for name, (one, other) in pairs.items():
        reference = Reference(train=other.features, held_out=None)
        found = {
            name: measured
            for score in SCORES
            for name, measured in measure(
                read_component(Kind.SCORE, score, catalogue=catalogue),
                generated=one,
                reference=reference,
            ).items()
        }
        cells = [f"{len(one.features):,} / {len(other.features):,}"]
        cells += [f"{found[measure].value:.4f}" for measure in ("fd", "kid", "is")]
        cells += [f"{found[p].value:.3f}, {found[r].value:.3f}" for p, r in PAIRS]
        cells += [f"{found['authenticity'].value:.3f}"]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


PAIRS = (("precision", "recall"), ("density", "coverage"))

if __name__ == "__main__":
    main()
