"""Directly denoising diffusion models: train, sample, judge, extend.

Importing this package imports no torch.  `load` opens a trained run:

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
    """The generator that a run has trained: the averaged weights of its newest checkpoint.

    Args:
        run: its folder; None for the newest under `./runs`.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        ema: decay of one of the recipe's `train.extra_ema_decays` instead of that of `train.ema`.
        best: take the weights that scored best during training.

    Raises:
        DddmError: if there is no such run, or it has no whole checkpoint.
    """
    # Here, so that `import dddm` does not wait for torch.
    from dddm.generate.trained import open_run

    return open_run(run, device=device, ema=ema, best=best)
