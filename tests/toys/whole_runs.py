"""A run from outside: a recipe's text goes in, the files of its folder come out.

Whatever depends on today's recipe keys, file names, names of checkpoint groups and modules stands
in the first part of this file, and nowhere else in the tests that use it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from safetensors.torch import load_file
from torch import Tensor

# ------------------------------------------------------------------ names that a release may change

RECIPE: Final = """\
format = 2
name = "whole-run"
seed = {seed}
[data]
{data}
[objective]
use = "directly-denoising"
estimate_dropout = {estimate_dropout}
guided_mix = {guided_mix}
[schedule]
{schedule}
[backbone]
{network}
[metric]
{metric}
[targets]
{store}
[optimizer]
betas = {betas}
eps = {eps}
[learning_rate]
use = "steps"
rate = {learning_rate}
warmup_steps = {warmup_steps}
drops = {drops}
factor = {drop_factor}
[train]
epochs = {epochs}
batch_images = {batch_images}
accumulation_steps = {accumulation_steps}
flips = {flips}
{gradient_clip}
ema = {ema_decay}
ema_warmup = {ema_warmup}
extra_ema_decays = {extra_ema_decays}
checkpoint_every_epochs = {epochs}
diagnose_every_epochs = {epochs}
{samplers}
"""
GRADIENT_CLIP: Final = "gradient_clip = {}"
SAMPLER: Final = """\
[[sample]]
use = "{name}"
steps = {steps}
images = {images}
"""

DIGITS: Final = 'use = "digits"'
IMAGES: Final = 'use = "npz"\npath = "{path}"'
VP: Final = 'use = "vp"\ntimesteps = {timesteps}'
VP_CONTINUOUS: Final = 'use = "vp-continuous"'
VE: Final = 'use = "ve"\ntimesteps = {timesteps}'
ADM: Final = """\
use = "adm"
channels = {channels}
multipliers = [1, 2]
blocks = 1
attention = [{attention}]
classes = true
estimate = "{entrance}"
dropout = {dropout}"""
PSEUDO_HUBER: Final = 'use = "pseudo-huber"\nc = {c}'
PSEUDO_LPIPS: Final = """\
use = "pseudo-lpips"
c = {c}
size = {size}
trunk_file = "{trunk_file}"
trunk_sha256 = "{trunk_sha256}\""""
RAM: Final = 'use = "ram"'
ALGORITHM_2: Final = "fixed-time"
ANNEALED: Final = "annealed"
MMAP_FLOAT16: Final = 'use = "mmap"\nprecision = "float16"'

SHIPPED_DIGITS: Final = (
    "digits",
    *("--set", "train.epochs=3"),
    *("--set", "sample.0.steps=[1, 2, 10]"),
    *("--set", "sample.0.images=64"),
    *("--set", "sample.1.images=64"),
    *("--set", "evaluate.features=pixels"),
)
"""The recipe that is shipped, as it is but for how long it takes."""

EVENTS: Final = "events.jsonl"
STEP: Final = "step-done"
LOSS: Final = "loss"
CHECKPOINTS: Final = "checkpoints/step-*"
WEIGHTS: Final = "model.safetensors"
AVERAGE: Final = "ema.safetensors"
EXTRA_AVERAGE: Final = "ema-{decay:g}.safetensors"
OPTIMIZER: Final = "optimizer.safetensors"
STORE: Final = "memory-estimate-*.safetensors"
ROWS: Final = "rows"
WRITTEN: Final = "written"
PLACES: Final = "at"
STORE_FILE: Final = "memory/estimate/shard-{shard}.rows"
STORE_FILE_VERSIONS: Final = 3
SAMPLES: Final = "samples/*/samples.npz"
SAMPLE_IMAGES: Final = "arr_0"


def make_network(
    *, entrance: str, seed: int, image_shape: tuple[int, int, int], classes: int, **options: Any
) -> Any:
    """The product's network with its first weights, which depend on the seed of the run."""
    from dddm.interfaces.info import ImageShape
    from dddm.support.noise import seed_for
    from dddm_backbones.adm import Adm
    from dddm_backbones.options import AdmOptions

    channels, height, width = image_shape
    torch.manual_seed(seed_for("weights", seed))
    shape = ImageShape(channels=channels, height=height, width=width)
    told: Any = {"estimate": entrance, "classes": True, **options}
    return Adm(AdmOptions(**told), shape=shape, classes=classes)


def evaluate_network(
    network: Any, *, estimate: Tensor, x_t: Tensor, t: Tensor, label: Tensor
) -> Tensor:
    """F_θ(x̂, x_t, t), where x_t and t are as the network is to see them."""
    raw: Tensor = network.refine(network.begin(x_t=x_t, t=t, label=label), estimate=estimate)
    return raw


def batches_of(*, images: int, batch_images: int, seed: int, epoch: int) -> Tensor:
    """Indices of the images in every batch of an epoch, (batches, B)."""
    from dddm.training.batches import BatchPlan

    plan = BatchPlan.make(images=images, batch_images=batch_images, shards=None, seed=seed)
    return plan.epoch(epoch)


# ------------------------------------------------------------------------------- a run's two sides


@final
@frozen(kw_only=True)
class Setting:
    """What a recipe says; names are ours, so that a recipe's may change."""

    data: str
    schedule: str
    network: str
    metric: str
    epochs: int
    batch_images: int
    samplers: tuple[tuple[str, tuple[int, ...], int], ...]
    seed: int = 3
    store: str = RAM
    learning_rate: float = 2e-3
    warmup_steps: int = 0
    drops: tuple[float, ...] = ()
    drop_factor: float = 0.25
    accumulation_steps: int = 1
    flips: bool = False
    estimate_dropout: float = 0.0
    guided_mix: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    gradient_clip: float | None = None
    ema_decay: float = 0.9
    ema_warmup: bool = False
    extra_ema_decays: tuple[float, ...] = ()

    def write(self, folder: Path) -> Path:
        """The recipe as a file."""
        clip = self.gradient_clip
        text = RECIPE.format(
            seed=self.seed,
            data=self.data,
            schedule=self.schedule,
            network=self.network,
            metric=self.metric,
            store=self.store,
            epochs=self.epochs,
            batch_images=self.batch_images,
            learning_rate=self.learning_rate,
            warmup_steps=self.warmup_steps,
            drops=list(self.drops),
            drop_factor=self.drop_factor,
            accumulation_steps=self.accumulation_steps,
            flips=str(self.flips).lower(),
            estimate_dropout=self.estimate_dropout,
            guided_mix=str(self.guided_mix).lower(),
            betas=list(self.betas),
            eps=self.eps,
            gradient_clip="" if clip is None else GRADIENT_CLIP.format(clip),
            ema_decay=self.ema_decay,
            ema_warmup=str(self.ema_warmup).lower(),
            extra_ema_decays=list(self.extra_ema_decays),
            samplers="".join(
                SAMPLER.format(name=name, steps=list(steps), images=images)
                for name, steps, images in self.samplers
            ),
        )
        path = folder / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return path


@final
@frozen
class FinishedRun:
    """What the folder of a finished run holds."""

    folder: Path

    def losses(self) -> list[float]:
        """Of every step, as they were logged."""
        lines = (self.folder / EVENTS).read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        return [event[LOSS] for event in events if event["event"] == STEP]

    def weights(self) -> dict[str, Tensor]:
        """The last weights."""
        return self._group(WEIGHTS)

    def average(self, extra_decay: float | None = None) -> dict[str, Tensor]:
        """The weights' moving average, or the further one of that decay."""
        if extra_decay is None:
            return self._group(AVERAGE)
        return self._group(EXTRA_AVERAGE.format(decay=extra_decay))

    def moments(self) -> dict[str, Tensor]:
        """What the optimizer keeps of each weight."""
        return {name: each for name, each in self._group(OPTIMIZER).items() if each.dim()}

    def rows(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """The target store in the order of the images: which were written, (N,), and X̂, (N, V)."""
        shards: dict[str, dict[str, Tensor]] = {}
        for path in self._checkpoint.glob(STORE):
            for key, tensor in load_file(path).items():
                shard, _, name = key.partition(".")
                shards.setdefault(shard, {})[name] = tensor
        written = [shards[shard][WRITTEN] >= 0 for shard in sorted(shards)]
        rows = [self._rows_of(shard, shards[shard]) for shard in sorted(shards)]
        return _interleaved(written), _interleaved(rows).view(dtype)

    def samples(self) -> dict[str, npt.NDArray[np.uint8]]:
        """Images, (N, H, W, C), by the sampler's name and its number of steps."""
        found = {}
        for path in sorted(self.folder.glob(SAMPLES)):
            with np.load(path) as arrays:
                found[path.parent.name] = arrays[SAMPLE_IMAGES]
        return found

    @property
    def _checkpoint(self) -> Path:
        return max(self.folder.glob(CHECKPOINTS))

    def _group(self, name: str) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = load_file(self._checkpoint / name)
        return tensors

    def _rows_of(self, shard: str, state: Mapping[str, Tensor]) -> Tensor:
        """One shard's rows, (n, bytes), uint8, from the checkpoint or from the file beside it."""
        if ROWS in state:
            return state[ROWS]
        places = state[PLACES].long()
        raw = np.fromfile(self.folder / STORE_FILE.format(shard=shard), np.uint8)
        rows = torch.from_numpy(raw.reshape(STORE_FILE_VERSIONS * len(places), -1))
        return torch.where(places[:, None] >= 0, rows[places], 0)


def _interleaved(parts: list[Tensor]) -> Tensor:
    """Image k is row k // S of shard k % S."""
    whole = parts[0].new_zeros(sum(map(len, parts)), *parts[0].shape[1:])
    for shard, part in enumerate(parts):
        whole[shard :: len(parts)] = part
    return whole


def run(*words: str | Path, folder: Path) -> FinishedRun:
    """`dddm run` with these words, in this process."""
    from dddm.cli.main import main

    try:
        main(["run", *map(str, words), "--folder", str(folder)])
    except SystemExit as leaving:
        assert not leaving.code, f"dddm run ended with {leaving.code}"  # noqa: PT017 - it always raises
    return FinishedRun(folder)


def run_setting(setting: Setting, folder: Path) -> FinishedRun:
    """A run of one setting, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return run(setting.write(folder), folder=folder / "run")


def smooth_images(
    path: Path, *, images: int, size: int, classes: int = 10
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Make an .npz of smooth random images in colour, (N, C, H, W), and their labels, (N,)."""
    random = np.random.default_rng(1)
    coarse = torch.from_numpy(random.normal(size=(images, 3, 4, 4)))
    fine = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    levels = (fine * 60 + 128).clamp(0, 255).to(torch.uint8).numpy()
    labels = random.integers(0, classes, images)
    np.savez(path, images=levels, labels=labels)
    return levels, labels
