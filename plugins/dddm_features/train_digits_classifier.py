"""Trains the digits classifier whose weights the wheel includes.

    python -m dddm_features.train_digits_classifier --out plugins/dddm_features/digits.safetensors

Plugins do not import each other, so it reads scikit-learn's digits itself; a test verifies that
images and split equal those of the data set `digits`.  Training uses Adam on randomly shifted
images with a one-cycle learning rate; held-out images only give the final accuracy.
"""

import json
import sys
from pathlib import Path
from typing import Final, final

import click
import numpy as np
import torch
from attrs import frozen
from safetensors.torch import save_file
from torch import Tensor, nn

from dddm.support.files import atomic_write
from dddm.support.images import from_uint8
from dddm.support.manifest import manifest_of
from dddm.support.noise import generator_for
from dddm.support.splits import hold_out_evenly
from dddm_features.digits_classifier import DigitsNetwork

COMMAND: Final = "python -m dddm_features.train_digits_classifier --out FILE"
HELD_OUT_IMAGES: Final = 297

_EPOCHS = 60
_BATCH_IMAGES = 50
_LEARNING_RATE = 2e-3
_LABEL_SMOOTHING = 0.05


@final
@frozen(kw_only=True)
class Digits:
    """Images (N, 1, 8, 8), uint8, and labels (N,), int64."""

    images: Tensor
    labels: Tensor

    @property
    def manifest(self) -> str:
        """SHA-256, in hexadecimal, of shape, images and labels."""
        return manifest_of(images=self.images, labels=self.labels)


def load_digits_splits() -> tuple[Digits, Digits]:
    """1,500 training digits and 297 held out."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey_NHW = (digits.images.astype(np.int64) * 255 + 8) // 16
    images_N1HW = torch.from_numpy(grey_NHW.astype(np.uint8)).unsqueeze(1)
    labels_N = torch.from_numpy(digits.target.astype(np.int64))
    splits = hold_out_evenly(labels_N.numpy(), count=HELD_OUT_IMAGES)
    train, held_out = (
        Digits(images=images_N1HW[torch.from_numpy(k)], labels=labels_N[torch.from_numpy(k)])
        for k in splits
    )
    return train, held_out


def shifted(image_B1HW: Tensor, *, generator: torch.Generator) -> Tensor:
    """Each image shifted by -1, 0 or 1 pixel along both axes and filled with background."""
    padded = nn.functional.pad(image_B1HW, (1, 1, 1, 1), value=-1.0)
    rows, columns = image_B1HW.shape[-2:]
    shift_B2 = torch.randint(0, 3, (len(image_B1HW), 2), generator=generator).tolist()
    return torch.stack(
        [
            image_1HW[:, down : down + rows, right : right + columns]
            for image_1HW, (down, right) in zip(padded, shift_B2, strict=True)
        ]
    )


def train_network(digits: Digits, *, seed: int, epochs: int = _EPOCHS) -> DigitsNetwork:
    """Train a network; the result is the same on every machine up to rounding."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DigitsNetwork()
    generator = generator_for("digits classifier", seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    steps = epochs * -(-len(digits.labels) // _BATCH_IMAGES)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=_LEARNING_RATE, total_steps=steps
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=_LABEL_SMOOTHING)
    image_N1HW = from_uint8(digits.images)
    with click.progressbar(range(epochs), label="training", file=sys.stderr) as bar:
        for _ in bar:
            order = torch.randperm(len(image_N1HW), generator=generator)
            for index_B in torch.split(order, _BATCH_IMAGES):
                logit_BK = network(shifted(image_N1HW[index_B], generator=generator))
                loss = loss_of(logit_BK, digits.labels[index_B])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy(network: DigitsNetwork, digits: Digits) -> float:
    """Share of `digits` that the network classifies correctly."""
    guess_N = network(from_uint8(digits.images)).argmax(dim=1)
    return float((guess_N == digits.labels).double().mean())


def metadata_of(network: DigitsNetwork, *, seed: int) -> dict[str, str]:
    """Metadata of the file."""
    train, held_out = load_digits_splits()
    facts = {
        "trained_on": "digits",
        "train_images": len(train.labels),
        "train_manifest": train.manifest,
        "held_out_images": len(held_out.labels),
        "held_out_manifest": held_out.manifest,
        "train_accuracy": round(accuracy(network, train), 6),
        "held_out_accuracy": round(accuracy(network, held_out), 6),
        "command": COMMAND,
        "seed": seed,
        "epochs": _EPOCHS,
        "torch": torch.__version__,
    }
    # One entry, because safetensors writes several in an order that changes from run to run.
    return {"facts": json.dumps(facts)}


@click.command()
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the weights, as safetensors.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed of initial weights, order and shifts."
)
def main(out: Path, seed: int) -> None:
    """Train the digits classifier on 1,500 digits; it takes under a minute on a CPU."""
    # The order of sums, and so the last bits, depends on the number of threads.
    torch.set_num_threads(1)
    train, _ = load_digits_splits()
    network = train_network(train, seed=seed)
    facts = metadata_of(network, seed=seed)
    tensors = network.state_dict()
    atomic_write(out, lambda path: save_file(tensors, path, metadata=facts))
    click.echo(f"{out}: {out.stat().st_size:,} bytes, {facts['facts']}")


if __name__ == "__main__":
    main()
