"""Directly denoising diffusion models: train, sample, judge, extend.

Importing this package imports no torch.
"""

from importlib.metadata import version as _version

__version__ = _version("dddm")
