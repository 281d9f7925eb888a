"""Denoisers of a few lines, for the samplers; those of the conformance kit."""

from dddm.testing.plain_denoiser import Begun, mixing
from dddm.testing.plain_denoiser import PlainDenoiser as ToyDenoiser

__all__ = ["Begun", "ToyDenoiser", "mixing"]
