"""Denoisers of a few lines, for the samplers; those of the conformance kit."""

from torch import Tensor

from dddm.testing.toys import Cache, ToyDenoiser, mixing

__all__ = ["Cache", "ToyDenoiser", "mixing", "no_noise"]


def no_noise(step: int) -> Tensor:
    raise AssertionError(f"a deterministic sampler asks for the noise of step {step}")
