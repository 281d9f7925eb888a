"""Classifier-free guidance: the estimate for a class, moved away from the estimate for no class.

    D_w(x_t, t, y) = D(x_t, t, ∅) + w (D(x_t, t, y) − D(x_t, t, ∅))    if low < s(t)/a(t) ≤ high
    D_w(x_t, t, y) = D(x_t, t, y)                                      otherwise

Ho & Salimans 2022 (arXiv 2207.12598), whose w is one less; the interval of noise levels is that of
Kynkäänniemi et al. 2024 (arXiv 2404.07724).  ∅ is the label that stands in training for those that
`[train] label_dropout` drops.  For one x_t the noise and the velocity are affine in the estimate of
x_0, and the coefficients w and 1 − w sum to 1, so guiding any of the three is the same.

Both evaluations have the same batch size as without guidance: in one doubled batch, D(x_t, t, y)
could differ in its last bits.

Legend: B images.
"""

from typing import Any, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.sampler import Denoiser
from dddm.interfaces.schedule import Schedule, expand_B111


@final
@frozen(kw_only=True)
class _Cache:
    """What `GuidedDenoiser.begin` keeps for `refine`.

    Attributes:
        no_class: None where no image is guided.
        guided: (B,), bool: which images are; None for all.
    """

    of_class: Any
    no_class: Any
    guided: Tensor | None


@final
class GuidedDenoiser(Denoiser):
    """D_w of a network that was trained with and without labels.

    Args:
        no_class: the label ∅.
        scale: w, at least 0; 1 is D itself.
        interval: low and high, noise levels in the units of x_0; None guides at every time.
    """

    def __init__(
        self,
        model: Denoiser,
        *,
        no_class: int,
        scale: float,
        interval: tuple[float, float] | None = None,
    ) -> None:
        self._model = model
        self._no_class = no_class
        self._scale = scale
        self._interval = interval

    @property
    def schedule(self) -> Schedule:
        return self._model.schedule

    @property
    def takes_latent(self) -> bool:
        return self._model.takes_latent

    def begin(
        self, *, x_t: Tensor, t: Tensor, label: Tensor | None, second_time: Tensor | None = None
    ) -> _Cache:
        """As in `Denoiser`.

        Raises:
            ValueError: without labels, which leave nothing to guide to.
        """
        if label is None:
            raise ValueError("guidance needs the label of each image")
        guided_B = self._is_guided(t)

        def begin(label_B: Tensor) -> Any:
            return self._model.begin(x_t=x_t, t=t, label=label_B, second_time=second_time)

        return _Cache(
            of_class=begin(label),
            no_class=begin(torch.full_like(label, self._no_class))
            if guided_B is None or bool(guided_B.any())
            else None,
            guided=guided_B,
        )

    def refine(self, cache: _Cache, *, estimate: Tensor | None) -> Tensor:
        of_class_BCHW = self._model.refine(cache.of_class, estimate=estimate)
        if cache.no_class is None:
            return of_class_BCHW
        no_class_BCHW = self._model.refine(cache.no_class, estimate=estimate)
        guided_BCHW = no_class_BCHW + self._scale * (of_class_BCHW - no_class_BCHW)
        if cache.guided is None:
            return guided_BCHW
        return torch.where(expand_B111(cache.guided), guided_BCHW, of_class_BCHW)

    def select(self, cache: _Cache, *, index: Tensor) -> _Cache:
        def select(inner: Any) -> Any:
            return None if inner is None else self._model.select(inner, index=index)

        return _Cache(
            of_class=select(cache.of_class),
            no_class=select(cache.no_class),
            guided=None if cache.guided is None else cache.guided[index],
        )

    def _is_guided(self, t: Tensor) -> Tensor | None:
        """(B,), bool: whether the noise level is in the interval; None without an interval."""
        if self._interval is None:
            return None
        low, high = self._interval
        # Not s/a, because a(T) = 0 on the linear path.
        signal_B, noise_B = self.schedule.signal(t), self.schedule.noise(t)
        return (low * signal_B < noise_B) & (noise_B <= high * signal_B)
