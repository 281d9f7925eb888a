"""Directly denoising diffusion models: training, sampling, evaluation, plugins.

    import dddm

    run = dddm.train("digits")
    images = dddm.load("runs/digits").sample(images=16, steps=2, seed=0)

`import dddm` does not import torch: names are imported when they are first used.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from dddm.generate.trained import Generator, Images, load
    from dddm.recipe.build import build
    from dddm.recipe.model import Recipe
    from dddm.training.loss import Loss
    from dddm.workflow.in_process import Run, Score, train

__all__ = [
    "Generator",
    "Images",
    "Loss",
    "Recipe",
    "Run",
    "Score",
    "__version__",
    "build",
    "load",
    "train",
]
__version__ = _version("dddm")

_MODULES = {
    "Generator": "dddm.generate.trained",
    "Images": "dddm.generate.trained",
    "Loss": "dddm.training.loss",
    "Recipe": "dddm.recipe.model",
    "Run": "dddm.workflow.in_process",
    "Score": "dddm.workflow.in_process",
    "build": "dddm.recipe.build",
    "load": "dddm.generate.trained",
    "train": "dddm.workflow.in_process",
}


def __getattr__(name: str) -> _Any:
    if name == "errors":
        return _import_module("dddm.errors")
    if name not in _MODULES:
        raise AttributeError(f"module 'dddm' has no attribute {name!r}")
    return getattr(_import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
