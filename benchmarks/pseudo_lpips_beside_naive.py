"""What the perceptual loss costs, beside the same loss in its naive form.

    python benchmarks/pseudo_lpips_beside_naive.py [--batch 8] [--pixels 32] [--size 0] [--rounds 7]

Three ratios, of forms that are each run forward and backward to the estimate, with VGG16, random
weights and average pooling, in float32:

1. Pseudo-LPIPS against the naive form: `lpips.LPIPS` with a trunk that takes gradients, and both
   images in the graph, as in the paper's public code; but its network is built once, not at every
   call.
2. The guided mix in one pass over the estimate against its two terms one after the other, both
   with our metric.
3. The naive form with a frozen trunk, to see what freezing alone brings.

That forms which should agree do agree, in value and gradient, is checked first.  The forms take
turns, so that all meet the same machine; medians over the rounds count.
"""

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final, final

import click
import torch
from attrs import Factory, frozen
from torch import Tensor, nn

from dddm.support.torchvision_operators import import_torchvision
from dddm_metrics.options import PseudoLpipsOptions
from dddm_metrics.perceptual import PseudoLpips

C: Final = 6.9e-5
EPOCH: Final = 3
OURS: Final = "pseudo-lpips"
NAIVE: Final = "naive: trunk trainable, both branches with gradient"
FROZEN: Final = "naive, trunk frozen, both branches with gradient"
SHARED: Final = "guided mix, features of the estimate shared"
APART: Final = "guided mix, two separate passes"


@final
@frozen(kw_only=True)
class Seconds:
    """What one form took, once a round."""

    wall: list[float] = Factory(list)
    cpu: list[float] = Factory(list)


@final
@frozen(kw_only=True)
class Images:
    """One batch; each (B, 3, H, W)."""

    estimate: Tensor
    target: Tensor
    previous: Tensor


def save_random_vgg(folder: Path) -> dict[str, Any]:
    """VGG16's `features.*` with random numbers, and the options that name the file."""
    from hashlib import sha256

    path = folder / "vgg.pth"
    torch.save({f"features.{k}": v for k, v in _random_vgg().items()}, path)
    return {"trunk_file": str(path), "trunk_sha256": sha256(path.read_bytes()).hexdigest()}


def _random_vgg() -> dict[str, Tensor]:
    import_torchvision()
    import torchvision

    with torch.device("meta"):
        shapes = {k: v.shape for k, v in torchvision.models.vgg16().features.state_dict().items()}
    torch.manual_seed(0)
    return {
        name: torch.randn(shape) * (0.05 if len(shape) == 1 else (2 / shape[1:].numel()) ** 0.5)
        for name, shape in shapes.items()
    }


def naive_lpips(path: str, *, trainable: bool, average: bool) -> nn.Module:
    """`lpips.LPIPS` as it comes, with the same trunk."""
    import_torchvision()
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model: Any = lpips.LPIPS(net="vgg", pnet_rand=True, pnet_tune=trainable, verbose=False)
    state = torch.load(path, weights_only=True)
    for name, value in model.net.named_parameters():
        value.data.copy_(state["features." + name.partition(".")[2]])
    for part in model.net.children() if average else ():
        for name, layer in list(part.named_children()):
            if isinstance(layer, nn.MaxPool2d):
                setattr(part, name, nn.AvgPool2d(2, 2))
    return model  # type: ignore[no-any-return] # lpips is not typed


def naive_loss(model: nn.Module, images: Images, *, size: int) -> Tensor:
    """√(L + c²) − c as it is printed; the target is in the graph, as if it too had a gradient."""
    estimate, target = images.estimate, images.target.clone().requires_grad_()
    if size:
        estimate, target = (
            nn.functional.interpolate(x, size=(size, size), mode="bilinear")
            for x in (estimate, target)
        )
    return (torch.sqrt(model(estimate, target) + C**2) - C).mean()


def forms(*, images: Images, size: int, folder: Path) -> dict[str, Callable[[], Tensor]]:
    """A loss for each form, to call again and again."""
    trunk = save_random_vgg(folder)
    metric = PseudoLpips(PseudoLpipsOptions(c=C, size=size, **trunk))

    weight = 1 / (EPOCH + 1)
    trainable, frozen_ = (
        naive_lpips(trunk["trunk_file"], trainable=trainable, average=True)
        for trainable in (True, False)
    )

    def apart() -> Tensor:
        to_image = metric.distance(estimate=images.estimate, target=images.target)
        to_estimate = metric.distance(estimate=images.estimate, target=images.previous)
        return (weight * to_image + (1 - weight) * to_estimate).mean()

    def shared() -> Tensor:
        to_image, to_estimate = metric.distances(
            estimate=images.estimate, targets=(images.target, images.previous)
        )
        return (weight * to_image + (1 - weight) * to_estimate).mean()

    return {
        OURS: lambda: metric.distance(estimate=images.estimate, target=images.target).mean(),
        NAIVE: lambda: naive_loss(trainable, images, size=size),
        FROZEN: lambda: naive_loss(frozen_, images, size=size),
        SHARED: shared,
        APART: apart,
    }


def once(loss: Callable[[], Tensor], images: Images, seconds: Seconds) -> tuple[float, Tensor]:
    """Forward and backward, timed; the loss and the gradient that the estimate gets."""
    images.estimate.grad = None
    wall, cpu = time.perf_counter(), time.process_time()
    value = loss()
    value.backward()  # type: ignore[no-untyped-call] # torch's own
    seconds.wall.append(time.perf_counter() - wall)
    seconds.cpu.append(time.process_time() - cpu)
    assert images.estimate.grad is not None
    return value.item(), images.estimate.grad.clone()


def measure(losses: dict[str, Callable[[], Tensor]], images: Images, rounds: int) -> Any:
    """Seconds of each form; and that forms which should agree do."""
    seconds = {name: Seconds() for name in losses}
    results = {name: once(loss, images, Seconds()) for name, loss in losses.items()}
    for one, other in ((OURS, NAIVE), (OURS, FROZEN), (SHARED, APART)):
        torch.testing.assert_close(results[one][0], results[other][0], rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(results[one][1], results[other][1], rtol=1e-2, atol=1e-5)
    for _ in range(rounds):
        for name, loss in losses.items():
            once(loss, images, seconds[name])
    return seconds


def table(seconds: dict[str, Seconds]) -> str:
    """Rows of Markdown: medians, and the ratios that count."""
    lines = ["| form | wall, ms | CPU, ms |", "| --- | ---: | ---: |"]
    lines += [
        f"| {name} | {1e3 * median(one.wall):.1f} | {1e3 * median(one.cpu):.1f} |"
        for name, one in seconds.items()
    ]
    lines += ["", "| ratio of medians | wall | CPU |", "| --- | ---: | ---: |"]
    for slow, fast in ((NAIVE, OURS), (FROZEN, OURS), (APART, SHARED)):
        wall = median(seconds[slow].wall) / median(seconds[fast].wall)
        cpu = median(seconds[slow].cpu) / median(seconds[fast].cpu)
        lines.append(f"| {slow} / {fast} | **{wall:.2f}** | **{cpu:.2f}** |")
    return "\n".join(lines)


@click.command()
@click.option("--batch", default=8, help="Images in a batch.")
@click.option("--pixels", default=32, help="Height and width of the images.")
@click.option("--size", default=0, help="What they are resized to; 0: not at all.")
@click.option("--rounds", default=7, help="Rounds that are timed, after one that is not.")
def main(batch: int, pixels: int, size: int, rounds: int) -> None:
    """Measure and print."""
    generator = torch.Generator().manual_seed(0)
    estimate, target, previous = (
        torch.rand(3, batch, 3, pixels, pixels, generator=generator) * 2 - 1
    )
    images = Images(estimate=estimate.requires_grad_(), target=target, previous=previous)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {batch}, ", end="")
    print(f"{pixels}×{pixels}, resized to {size or 'nothing'}, {rounds} rounds, ", end="")
    print(f"load before {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        losses = forms(images=images, size=size, folder=Path(folder))
    print(table(measure(losses, images, rounds)))
    print(f"\nload after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
