"""Directly denoising diffusion models: training, sampling, evaluation, plugins.

`import dddm` does not import torch.  `load` opens a trained run:

    import dddm

    images = dddm.load("runs/digits").sample(images=16, steps=2, seed=0)
"""

from importlib.metadata import version as _version
from pathlib import Path as _Path
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from dddm.generate.trained import Trained

__all__ = ["__version__", "load"]
__version__ = _version("dddm")


def load(
    run: str | _Path | None = None,
    *,
    device: str = "auto",
    ema: float | None = None,
    best: bool = False,
) -> "Trained":
    """Load the averaged weights of a run's latest checkpoint, ready to sample from.

    Args:
        run: the run's folder; None for the newest under `./runs`.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        ema: decay of one of the recipe's `train.extra_ema_decays`, in place of `train.ema`.
        best: use the weights that scored best during training.

    Raises:
        DddmError: if there is no such run, or it has no complete checkpoint.
    """
    from dddm.generate import trained  # here, so that `import dddm` does not wait for torch

    return trained.load(run, device=device, ema=ema, best=best)
