"""FID, IS, KID, precision and recall of CIFAR-10 images: ours beside torch-fidelity's own function.

    DDDM_DATA=… DDDM_WEIGHTS=… python benchmarks/scoring.py [--images 50000] [--neighbours 10000]

The real images are CIFAR-10's training set; "generated" are the same images with noise of 8 levels.
Features are the 64 of `resnet20`.  torch-fidelity's `calculate_metrics` gets the same tensors and
the network as it stands in the weights' file, where `resnet20` folds its norms; batches are its own
default.  It measures precision and recall in a call of its own, on fewer images, because it keeps
all distances.  One after the other, each in a process of its own, CPU.
"""

import resource
import subprocess
import sys
import time
from typing import Any, final

import click
import torch
from torch import Tensor

from dddm.interfaces.plugin import Kind
from dddm.registry.loader import load_catalogue
from dddm_features.options import RESNET20_WEIGHTS, WeightsOptions, weights_path
from dddm_features.resnet20 import read_resnet20
from dddm_features.resnet20_network import normalise


def images_of(count: int) -> tuple[Tensor, Tensor]:
    """Generated and real images, (N, 3, 32, 32), uint8."""
    catalogue = load_catalogue()
    component = catalogue.find(Kind.DATASET, "cifar10")
    data = component.load()(component.options())
    data.prepare(progress=lambda _what, _done, _total: None)
    real = data.splits()["train"].images(torch.arange(count)).clone()
    generated, lot = torch.empty_like(real), torch.Generator().manual_seed(0)
    # In parts, so that the memory that is measured is that of scoring.
    for one, other in zip(torch.split(real, 1000), torch.split(generated, 1000), strict=True):
        noise = torch.randint(-8, 9, one.shape, generator=lot)
        other.copy_((one.int() + noise).clamp_(0, 255))
    return generated, real


def network() -> Any:
    """The features of `resnet20`."""
    component = load_catalogue().find(Kind.FEATURES, "resnet20")
    return component.load()(component.options())


def ours(generated: Tensor, real: Tensor, *, neighbours: int) -> dict[str, float]:
    """By our own functions, one extraction."""
    from dddm.evaluate.evaluator import measure
    from dddm.evaluate.extract import extract
    from dddm.interfaces.features import Extraction
    from dddm.interfaces.score import Reference
    from dddm.recipe.read import read_component

    catalogue = load_catalogue()

    def values(score: str, generated: Extraction, reference: Reference) -> dict[str, float]:
        use = read_component(Kind.SCORE, score, catalogue=catalogue)
        measured = measure(use, generated=generated, reference=reference)
        return {name: one.value for name, one in measured.items()}

    features = network()
    one, other = extract(features, generated), extract(features, real)
    whole = Reference(train=other.features, held_out=None)
    found: dict[str, float] = {}
    for score in ("is", "kid", "fd"):
        found |= values(score, one, whole)
    some = Extraction(features=one.features[:neighbours])
    fewer = Reference(train=other.features[:neighbours], held_out=None)
    return found | values("precision-recall", some, fewer)


@final
class Images(torch.utils.data.Dataset[Tensor]):
    """A tensor as torch-fidelity wants it."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, k: int) -> Tensor:
        return self.images[k]


def theirs(generated: Tensor, real: Tensor, *, neighbours: int) -> dict[str, float]:
    """By `calculate_metrics`."""
    from dddm.support.torchvision_operators import import_torchvision

    import_torchvision()
    import torch_fidelity

    plain = read_resnet20(weights_path(WeightsOptions(), RESNET20_WEIGHTS))

    class Resnet(torch_fidelity.FeatureExtractorBase):  # type: ignore[misc]  # it is untyped
        """The same network in the way that torch-fidelity's extractors are written."""

        def __init__(self, name: str, features_list: list[str], **_settings: Any) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return ("pooled", "logits")

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "pooled"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            pooled = plain.features(normalise(images))
            by_name = {"pooled": pooled, "logits": plain.linear(pooled)}
            return tuple(by_name[name] for name in self.features_list)

    torch_fidelity.register_feature_extractor("resnet20", Resnet)
    for name, images in (("generated", generated), ("real", real)):
        torch_fidelity.register_dataset(name, lambda *_, images=images: Images(images))
        few = images[:neighbours]
        torch_fidelity.register_dataset(f"{name}-few", lambda *_, images=few: Images(images))
    common: dict[str, Any] = {
        "feature_extractor": "resnet20",
        "cuda": False,
        "cache": False,
        "verbose": False,
    }
    found = torch_fidelity.calculate_metrics(
        input1="generated", input2="real", isc=True, fid=True, kid=True, **common
    )
    found |= torch_fidelity.calculate_metrics(
        input1="generated-few", input2="real-few", prc=True, **common
    )
    return {
        "fd": found["frechet_inception_distance"],
        "is": found["inception_score_mean"],
        "kid": found["kernel_inception_distance_mean"],
        "precision": found["precision"],
        "recall": found["recall"],
    }


@click.command()
@click.option("--images", default=50_000, show_default=True)
@click.option("--neighbours", default=10_000, show_default=True)
@click.option("--rounds", default=1, show_default=True)
@click.option("--side", type=click.Choice(["ours", "theirs"]), hidden=True)
def main(images: int, neighbours: int, rounds: int, side: str | None) -> None:
    """Print a table, or, for one side, what it found."""
    if side is None:
        print("| side | wall s | CPU s | most memory GB | FD | IS | KID | precision | recall |")
        print("| --- |" + " ---: |" * 8)
        for _ in range(rounds):
            for name in ("theirs", "ours"):
                words = ["--images", str(images), "--neighbours", str(neighbours), "--side", name]
                done = subprocess.run(
                    [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE
                )
                print(done.stdout.decode().splitlines()[-1], flush=True)
        return
    generated, real = images_of(images)
    began, cpu = time.perf_counter(), time.process_time()
    work = ours if side == "ours" else theirs
    found = work(generated, real, neighbours=neighbours)
    wall = time.perf_counter() - began
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - cpu + children.ru_utime + children.ru_stime
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    values = [found[name] for name in ("fd", "is", "kid", "precision", "recall")]
    cells = [f"{wall:.1f}", f"{cpu:.1f}", f"{memory:.2f}", *(f"{value:.8g}" for value in values)]
    print(f"| {side} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
