"""Features that are learned on images, in some minutes: those of a run, or others.

A convolution of 32 channels, or as many as are asked for, then two stages of twice and four times
as many, each of half the size and with a residual block.  Objectives compare the maps after each of
the three, scores the mean of the last map over its places.  It is trained

    with classes       to name the class of shifted images, by cross-entropy
    without classes    to find the other view of an image among those of a batch (SimCLR, Chen et
                       al. 2020, arXiv 2002.05709), by cross-entropy over cosine similarities / τ

One class is as none.  A view is a random part of the image, of other size, brightness and colour.
SimCLR, because it has one number to set (τ), no second network and no state beside the weights, so
that it can be stopped anywhere, and because it trains in the same minutes as the classifier.

A tenth of the images is held out to measure how good the features are.  The result is kept in the
cache folder with its provenance, complete or absent; a finished epoch is not repeated.
It belongs to the images, not to the run: another seed of the run uses the same.

Legend: B images, C channels, H rows, W columns, K classes, D features, E width of a
projection.
"""

import fcntl
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, final

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from dddm.interfaces.data_report import ProgressCallback
from dddm.interfaces.dataset import Dataset, Split
from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.support.cache import cache_folder, key_of
from dddm.support.checked_tensors import load_checked, save_checked
from dddm.support.files import atomic_write_text, raise_on_disk_full, sha256_of
from dddm.support.images import from_uint8
from dddm.support.noise import generator_for, seed_for
from dddm.support.optimizer_state import (
    load_optimizer_state,
    optimizer_state,
    set_learning_rate,
)
from dddm_features.options import LearnedOptions, require_learnable, require_shape
from dddm_features.precision import full_float32

_VERSION: Final = 2
"""Rises when a change here changes what is learned."""
_WIDTHS: Final = (1, 2, 4)
"""Of the maps, as multiples of the first."""
_BATCH_IMAGES: Final = 128
_LEARNING_RATE: Final = 3e-3
_WEIGHT_DECAY: Final = 0.05
_PROJECTION: Final = 64
_TEMPERATURE: Final = 0.2
_SMALLEST_SIDE: Final = 0.5
"""Of a view, as a fraction of the image's."""
_MOST_HELD_OUT: Final = 500
_WITH_GRADIENT: Final = 3
"""A forward and a backward pass, in forward passes."""
_AT_A_TIME: Final = 100


@final
class Network(nn.Module):
    """The three maps, and a head: logits of classes, or projections."""

    def __init__(self, *, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        widths = [width * each for each in _WIDTHS]
        self.stages = nn.ModuleList([_convolution(channels, width)])
        for inputs, outs in itertools.pairwise(widths):
            self.stages.append(nn.Sequential(_convolution(inputs, outs, stride=2), Block(outs)))
        self.head = nn.Linear(widths[-1], outputs)

    def maps(self, image_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Of full, half and a quarter of the size."""
        found, h_BCHW = [], image_BCHW
        for stage in self.stages:
            h_BCHW = stage(h_BCHW)
            found.append(h_BCHW)
        return tuple(found)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        output_BE: Tensor = self.head(pooled(self.maps(image_BCHW)))
        return output_BE


def pooled(maps: Sequence[Tensor]) -> Tensor:
    """Means over places of the last map, (B, D)."""
    return maps[-1].mean(dim=(2, 3))


def _convolution(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


@final
class Block(nn.Module):
    """A residual block of one convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = _convolution(width, width)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        h_BCHW: Tensor = x_BCHW + self.branch(x_BCHW)
        return h_BCHW


@final
@frozen(kw_only=True, eq=False)
class _Images:
    """Images and labels on the device, and which of them are held out."""

    image_NCHW: Tensor
    label_N: Tensor | None
    train: Tensor
    held_out: Tensor

    @classmethod
    def of(cls, split: Split, *, device: torch.device) -> "_Images":
        every = torch.arange(len(split))
        order = torch.randperm(len(split), generator=generator_for("learned features held out"))
        held_out = min(len(split) // 10, _MOST_HELD_OUT)
        label_N = split.labels(every) if _classes_of(split) else None
        return cls(
            image_NCHW=split.images(every).to(device),
            label_N=None if label_N is None else label_N.to(device),
            train=order[held_out:],
            held_out=order[:held_out],
        )

    def read(self, index_B: Tensor) -> Tensor:
        return from_uint8(self.image_NCHW[index_B.to(self.image_NCHW.device)])


@final
class Learned(Features):
    """Vectors (B, D), at least 0, of a network that `prepare` trains or finds in the cache."""

    def __init__(self, options: LearnedOptions) -> None:
        self._options, self._own = options, options.images
        self._images: Split | None = None
        self._flips = False
        self._device = torch.device("cpu")
        self._network: Network | None = None
        self._weights_sha256: str | None = None

    @property
    def dimensions(self) -> int | None:
        return _WIDTHS[-1] * self._options.channels

    @property
    def fingerprint(self) -> str:
        """Of what is learned, from which images; once it is, also of the weights.

        They differ from device to device, and what was extracted by others must not be used.
        """
        return key_of({**self._identity, "weights": self._weights_sha256})

    @property
    def trained_on(self) -> str | None:
        images = self._images
        return None if images is None else f"{len(images):,} images {images.manifest[:12]}"

    @property
    def has_logits(self) -> bool:
        return self._images is not None and bool(_classes_of(self._images))

    @property
    def _identity(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "package": version("dddm"),
            "images": None if self._images is None else self._images.manifest,
            "epochs": self._options.epochs,
            "channels": self._options.channels,
            "flips": self._flips,
        }

    def identify(self, images: Split, *, flips: bool) -> None:
        learned_on = images if self._own is None else self._own_images
        require_learnable(learned_on.shape, images=len(learned_on), of_run=images.shape)
        self._images, self._flips = learned_on, flips

    @cached_property
    def _own_images(self) -> Split:
        assert self._own is not None
        dataset: Dataset = self._own.instantiate()
        return dataset.splits()["train"]

    def check_shape(self, shape: ImageShape) -> None:
        require_shape("learned", shape)

    def to(self, device: torch.device) -> None:
        self._device = device
        if self._network is not None:
            self._network.to(device)

    def prepare(
        self, *, images: Split, flips: bool, device: torch.device, progress: ProgressCallback
    ) -> str | None:
        """Train the network, or read it from the cache; see `Features`.

        Returns:
            what was learned, for the log; None if it was read.
        """
        self.identify(images, flips=flips)
        assert self._images is not None
        images = self._images
        path = cache_folder() / "learned-features" / f"{key_of(self._identity)}.safetensors"
        sentence, found = None, load_checked(path)
        if found is None:
            with _one_process_at_a_time(path):
                found = load_checked(path)  # another process may have learned it meanwhile
                if found is None:
                    sentence = self._learn(path, images=images, device=device, progress=progress)
                    found = load_checked(path)
                    assert found is not None, "it was just written"
        network = self._new_network(images)
        network.load_state_dict(found)
        self._use(network.to(device))
        self._device, self._weights_sha256 = device, sha256_of(path)
        return sentence

    def _new_network(self, images: Split) -> Network:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for("learned features"))
            return Network(
                channels=images.shape.channels,
                width=self._options.channels,
                outputs=len(_classes_of(images)) or _PROJECTION,
            )

    def _learn(
        self, path: Path, *, images: Split, device: torch.device, progress: ProgressCallback
    ) -> str:
        began = time.perf_counter()
        network, on_device = self._new_network(images), _Images.of(images, device=device)
        _train(
            network.to(device),
            on_device,
            epochs=self._options.epochs,
            flips=self._flips,
            partial=path.with_suffix(".partial.safetensors"),
            progress=progress,
        )
        quality = _quality(network, on_device)
        provenance = {
            **self._identity, **quality, "torch": torch.__version__, "device": str(device),
        }  # fmt: skip
        # First, so that weights never lie there without what they were made from.
        atomic_write_text(path.with_suffix(".json"), json.dumps(provenance, indent=2) + "\n")
        save_checked(path, _on_cpu(network.state_dict()))
        path.with_suffix(".partial.safetensors").unlink(missing_ok=True)
        return _sentence(quality, images=images, seconds=time.perf_counter() - began)

    def prepare_shapes(self, images: DatasetInfo) -> float:
        width = self._options.channels
        network = Network(channels=images.shape.channels, width=width, outputs=1)
        self._use(network.to(self._device))
        learned_on = images if self._own is None else self._own.info(DatasetInfo)
        if learned_on is None:  # which is known once their files are read
            return 0.0
        with FlopCounterMode(display=False) as counter:
            self.maps(torch.empty(1, *images.shape.as_tuple, device=self._device))
        views = 1 if len(learned_on.classes) > 1 else 2
        passes = _WITH_GRADIENT * views * self._options.epochs
        return float(counter.get_total_flops() * passes * learned_on.train_images)

    def _use(self, network: Network) -> None:
        self._network = network.eval().requires_grad_(requires_grad=False)

    @property
    def _ready(self) -> Network:
        if self._network is None:
            raise RuntimeError("the features were not learned yet: call `prepare` first")
        return self._network

    def extract(self, images: Tensor) -> Tensor:
        return self.extract_with_logits(images).features

    @torch.no_grad()
    def extract_with_logits(self, images: Tensor) -> Extraction:
        """Features, and logits of the classes that were learned, if there were any."""
        with full_float32(self._device):
            feature_BD = torch.cat(
                [
                    self.embed(from_uint8(batch_BCHW.to(self._device)))
                    for batch_BCHW in torch.split(images, _AT_A_TIME)
                ]
            )
            logits = self._ready.head(feature_BD).cpu() if self.has_logits else None
        return Extraction(features=feature_BD.cpu(), logits=logits)

    def embed(self, images: Tensor) -> Tensor:
        return pooled(self.maps(images))

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Of the full, half and a quarter of the size.

        Raises:
            RuntimeError: before `prepare`.
        """
        return self._ready.maps(images)


@contextmanager
def _one_process_at_a_time(path: Path) -> Iterator[None]:
    """Runs of a sweep share what is learned: on a GPU each would learn slightly other weights."""
    with raise_on_disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.with_suffix(".lock").open("w")
    with opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _classes_of(images: Split) -> tuple[str, ...]:
    """What there is to tell apart: one class is none."""
    return images.classes if len(images.classes) > 1 else ()


def _on_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def _train(
    network: Network,
    images: _Images,
    *,
    epochs: int,
    flips: bool,
    partial: Path,
    progress: ProgressCallback,
) -> None:
    """All epochs, from where an earlier call was stopped."""
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
    )
    done = _read_partial(partial, network, optimizer)
    size = min(_BATCH_IMAGES, len(images.train))
    batches = len(images.train) // size
    count = epochs * len(images.train)
    progress("learning features", done * len(images.train), count)
    for epoch in range(done, epochs):
        # On the CPU, so that every device sees the same images.
        generator = generator_for("learned features", epoch)
        order = torch.randperm(len(images.train), generator=generator)
        network.train()
        for batch in range(batches):
            # From the full rate to nothing, in a straight line.
            passed = (epoch * batches + batch) / (epochs * batches)
            set_learning_rate(optimizer, _LEARNING_RATE * (1 - passed))
            index_B = images.train[order[batch * size : (batch + 1) * size]]
            loss = _loss(network, images, index_B, flips=flips, generator=generator)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
            optimizer.step()
        _write_partial(partial, network, optimizer, epoch + 1)
        progress("learning features", (epoch + 1) * len(images.train), count)
    network.eval()


def _loss(
    network: Network,
    images: _Images,
    index_B: Tensor,
    *,
    flips: bool,
    generator: torch.Generator,
) -> Tensor:
    image_BCHW = images.read(index_B)
    if images.label_N is not None:
        label_B = images.label_N[index_B.to(images.label_N.device)]
        logit_BK = network(shifted(image_BCHW, flips=flips, generator=generator))
        return functional.cross_entropy(logit_BK, label_B)
    first_BCHW, second_BCHW = (view(image_BCHW, flips=flips, generator=generator) for _ in range(2))
    return contrastive_loss(network(first_BCHW), network(second_BCHW))


def contrastive_loss(first_BE: Tensor, second_BE: Tensor) -> Tensor:
    """SimCLR's: −mean of log softmax(cos / τ) of an image's other view among all other views."""
    both = functional.normalize(torch.cat([first_BE, second_BE]), dim=1)
    itself = torch.eye(len(both), dtype=torch.bool, device=both.device)
    logit = (both @ both.T / _TEMPERATURE).masked_fill(itself, -torch.inf)
    other = torch.arange(len(both), device=both.device).roll(len(first_BE))
    return functional.cross_entropy(logit, other)


def shifted(image_BCHW: Tensor, *, flips: bool, generator: torch.Generator) -> Tensor:
    """Each image shifted by up to an eighth of its size, what is missing mirrored at the edge.

    With `flips` it is mirrored altogether with probability 1/2.
    """
    count, device = len(image_BCHW), image_BCHW.device
    height, width = image_BCHW.shape[2:]
    far = max(1, min(height, width) // 8)
    padded = functional.pad(image_BCHW, (far, far, far, far), mode="reflect")
    down_B, right_B = torch.randint(0, 2 * far + 1, (2, count), generator=generator).to(device)
    rows_BH = down_B[:, None] + torch.arange(height, device=device)
    columns_BW = right_B[:, None] + torch.arange(width, device=device)
    mirrored_B = torch.rand(count, generator=generator).to(device) < (0.5 if flips else 0.0)
    columns_BW = torch.where(mirrored_B[:, None], columns_BW.flip(1), columns_BW)
    each_B11 = torch.arange(count, device=device)[:, None, None]
    shifted_BHWC = padded.permute(0, 2, 3, 1)[each_B11, rows_BH[:, :, None], columns_BW[:, None]]
    return shifted_BHWC.permute(0, 3, 1, 2).contiguous()


def view(image_BCHW: Tensor, *, flips: bool, generator: torch.Generator) -> Tensor:
    """A random part of each image, in its size, with other contrast, brightness and colour."""
    count, channels = image_BCHW.shape[:2]

    def uniform(*shape: int, low: float, high: float) -> Tensor:
        drawn = torch.rand(shape, generator=generator) * (high - low) + low
        return drawn.to(image_BCHW.device)

    side_B2 = uniform(count, 2, low=_SMALLEST_SIDE, high=1.0)
    centre_B2 = uniform(count, 2, low=-1.0, high=1.0) * (1 - side_B2)
    if flips:
        side_B2[:, 0] *= uniform(count, low=-1.0, high=1.0).sign()
    affine_B23 = torch.cat([torch.diag_embed(side_B2), centre_B2[:, :, None]], dim=2)
    places = functional.affine_grid(affine_B23, list(image_BCHW.shape), align_corners=False)
    part_BCHW = functional.grid_sample(
        image_BCHW, places, padding_mode="reflection", align_corners=False
    )
    gain_B111 = uniform(count, 1, 1, 1, low=0.6, high=1.4)
    shift_BC11 = uniform(count, channels, 1, 1, low=-0.3, high=0.3)
    return part_BCHW * gain_B111 + shift_BC11


@torch.no_grad()
def _quality(network: Network, images: _Images) -> dict[str, float]:
    """Accuracy on held-out images and the accuracy of a guess; nothing where none is held out."""
    index_B = images.held_out
    if not len(index_B):
        return {}
    if images.label_N is not None:
        guess_B = torch.cat(
            [network(images.read(part)).argmax(1) for part in torch.split(index_B, _AT_A_TIME)]
        )
        label_B = images.label_N[index_B.to(images.label_N.device)]
        chance = float(label_B.bincount().max()) / len(index_B)
    else:
        generator = generator_for("learned features quality")
        first, second = (
            torch.cat(
                [
                    network(view(images.read(part), flips=False, generator=generator))
                    for part in torch.split(index_B, _AT_A_TIME)
                ]
            )
            for _ in range(2)
        )
        similarity = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T
        guess_B = similarity.argmax(1)
        label_B = torch.arange(len(index_B), device=guess_B.device)
        chance = 1 / len(index_B)
    return {"accuracy": float((guess_B == label_B).double().mean()), "chance": chance}


def _sentence(quality: Mapping[str, float], *, images: Split, seconds: float) -> str:
    what = "named the class of" if _classes_of(images) else "found the other view of"
    said = f"features were learned on {len(images):,} images in {seconds:.0f} s"
    if not quality:
        return said
    return (
        f"{said}; they {what} {quality['accuracy']:.1%} of held-out images, where a guess gets "
        f"{quality['chance']:.1%}"
    )


def _write_partial(
    path: Path, network: Network, optimizer: torch.optim.Optimizer, epoch: int
) -> None:
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    state |= {f"optimizer.{name}": value for name, value in optimizer_state(optimizer).items()}
    save_checked(path, _on_cpu({**state, "epoch": torch.tensor(epoch)}))


def _read_partial(path: Path, network: Network, optimizer: torch.optim.Optimizer) -> int:
    """Continue from what was saved there, if anything was; epochs that are done."""
    found = load_checked(path)
    if found is None:
        return 0

    def under(prefix: str) -> dict[str, Any]:
        return {
            name.removeprefix(prefix): value
            for name, value in found.items()
            if name.startswith(prefix)
        }

    network.load_state_dict(under("network."))
    load_optimizer_state(optimizer, under("optimizer."))
    return int(found["epoch"])
