"""Short runs of many settings, and the hashes of all that they leave behind.

    python tests/toys/recorded_runs.py --out FILE

writes the hashes that the importable dddm gives, with the machine they were made on: two versions
compute the same if their files are the same.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from trunks import save_trunk
from whole_runs import (
    ADM,
    ALGORITHM_2,
    ANNEALED,
    DIGITS,
    IMAGES,
    MMAP_FLOAT16,
    PSEUDO_HUBER,
    PSEUDO_LPIPS,
    SHIPPED_DIGITS,
    VE,
    VP,
    VP_CONTINUOUS,
    FinishedRun,
    Setting,
    run,
    run_setting,
    smooth_images,
)

SMALL: Final = ADM.format(channels=8, attention=4, entrance="attention", dropout=0.0)
HUBER: Final = PSEUDO_HUBER.format(c=0.0043)
EXTRA_DECAY: Final = 0.5


def _on_digits(**changes: Any) -> Setting:
    settings: dict[str, Any] = {
        "data": DIGITS,
        "schedule": VP.format(timesteps=50),
        "network": SMALL,
        "metric": HUBER,
        "epochs": 2,
        "batch_images": 250,
        "samplers": ((ALGORITHM_2, (1, 2), 32),),
    }
    return Setting(**{**settings, **changes})


def digits(folder: Path) -> FinishedRun:
    """The recipe that is shipped, for three epochs."""
    return run(*SHIPPED_DIGITS, folder=folder)


def small_cifar10(folder: Path) -> FinishedRun:
    """Images in colour under Pseudo-LPIPS, with dropout, accumulation, flips and stale images."""
    smooth_images(folder / "images.npz", images=52, size=32)
    trunk = save_trunk(folder, "vgg")
    setting = Setting(
        data=IMAGES.format(path=folder / "images.npz"),
        schedule=VP.format(timesteps=1000),
        network=ADM.format(channels=8, attention=16, entrance="attention", dropout=0.3),
        metric=PSEUDO_LPIPS.format(c=6.9e-5, size=16, **trunk),
        epochs=2,
        batch_images=16,
        learning_rate=1e-2,
        accumulation_steps=2,
        flips=True,
        ema_decay=0.5,
        samplers=((ALGORITHM_2, (1, 2, 10), 16),),
    )
    return run_setting(setting, folder)


def vp_continuous(folder: Path) -> FinishedRun:
    """Real times, and the annealed sampler, which visits several."""
    samplers = ((ALGORITHM_2, (1, 2), 32), (ANNEALED, (5,), 32))
    return run_setting(_on_digits(schedule=VP_CONTINUOUS, samplers=samplers), folder)


def ve(folder: Path) -> FinishedRun:
    """The variance exploding schedule, and the annealed sampler."""
    samplers = ((ALGORITHM_2, (1, 2), 32), (ANNEALED, (5,), 32))
    return run_setting(_on_digits(schedule=VE.format(timesteps=50), samplers=samplers), folder)


def guided_mix(folder: Path) -> FinishedRun:
    """A loss with a weight that changes in every epoch."""
    return run_setting(_on_digits(guided_mix=True, epochs=3), folder)


def every_option(folder: Path) -> FinishedRun:
    """A store of float16 on the disk, and all that `[train]` may ask for."""
    setting = _on_digits(
        store=MMAP_FLOAT16,
        batch_images=200,
        estimate_dropout=0.3,
        gradient_clip=5.0,
        ema_warmup=True,
        extra_ema_decays=(EXTRA_DECAY,),
        warmup_steps=4,
        drops=(0.5, 0.8),
        drop_factor=0.5,
        flips=True,
        accumulation_steps=4,
    )
    return run_setting(setting, folder)


RUNS: Final[tuple[Callable[[Path], FinishedRun], ...]] = (
    digits,
    small_cifar10,
    vp_continuous,
    ve,
    guided_mix,
    every_option,
)


def _digest(pieces: Iterable[str | bytes]) -> str:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece.encode() if isinstance(piece, str) else piece)
    return found.hexdigest()


def _content(tensor: Tensor) -> str:
    """Of type, shape and bytes."""
    return _digest([str(tensor.dtype), str(tuple(tensor.shape)), tensor.numpy().tobytes()])


def _named(tensors: Mapping[str, Tensor]) -> str:
    """Of names and contents, in the order of names."""
    return _digest(f"{name} {_content(tensors[name])}\n" for name in sorted(tensors))


def hashes(finished: FinishedRun, *, every_option: bool) -> dict[str, str]:
    """SHA-256 of each thing that a run leaves; the names of files and groups are not in it."""
    written, estimates = finished.rows(torch.float16 if every_option else torch.float32)
    found = {
        "losses": _digest(f"{loss.hex()}\n" for loss in finished.losses()),
        "weights": _named(finished.weights()),
        # Without names: an optimizer may call what it keeps as it likes.
        "moments": _digest(sorted(_content(each) for each in finished.moments().values())),
        "average": _named(finished.average()),
        "rows": _digest([_content(written), _content(estimates)]),
    }
    if every_option:
        found["further average"] = _named(finished.average(EXTRA_DECAY))
    for name, images in finished.samples().items():
        found[f"samples {name}"] = _content(torch.from_numpy(images))
    return found


def machine() -> dict[str, str]:
    """What the last bits of a run depend on beside dddm."""
    return {
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processor": _processor(),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def record() -> dict[str, Any]:
    """The machine, and the hashes of every run."""
    torch.set_num_threads(1)
    found = {}
    for make in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            found[make.__name__] = hashes(make(Path(folder)), every_option=make is every_option)
    return {"machine": machine(), "runs": found}


def write_record() -> None:
    """Answer the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    out.write_text(json.dumps(record(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_record()
