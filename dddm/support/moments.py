"""Mean and covariance of features: of a whole set, or in batches and from several processes.

    μ = Σx / n        Σ = (Σ x xᵀ − n μ μᵀ) / (n − 1)

Sums are float64, of features less those of the first image: so that little cancels.

Legend: N features of a set, B of a batch, D feature dimensions.
"""

from typing import final

import numpy as np
import numpy.typing as npt
import torch
from attrs import define, field, frozen
from torch import Tensor

from dddm.errors import DataError


@final
@frozen(kw_only=True, eq=False)
class Statistics:
    """Mean (D,) and covariance (D, D), with divisor N − 1, of features; float64."""

    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]


def statistics_of(features: Tensor) -> Statistics:
    """Mean and covariance of features (N, D).

    Raises:
        DataError: if a feature is not finite, or there are fewer than two images.
    """
    if len(features) < 2:  # noqa: PLR2004 - a covariance takes two
        raise DataError(
            f"the covariance of features, as for a Fréchet distance, cannot be taken over "
            f"{len(features)} image(s)",
            remedy="draw at least 2, better thousands",
        )
    bad = int((~torch.isfinite(features)).any(dim=1).sum())
    if bad:
        raise DataError(
            f"the features of {bad} of {len(features)} images are not finite",
            remedy="choose other features: these cannot judge such images",
        )
    value_ND = features.double().cpu().numpy()
    # numpy returns a bare number as the covariance of one dimension.
    covariance_DD = np.atleast_2d(np.cov(value_ND, rowvar=False))
    return Statistics(mean=np.mean(value_ND, axis=0), covariance=covariance_DD)


@final
@define(kw_only=True, eq=False)
class Moments:
    """Sums over the features that were added.

    Attributes:
        count: of features.
        origin: the first of them, (D,), float64; None while there is none.
        total: Σ(x − origin), (D,).
        products: Σ(x − origin)(x − origin)ᵀ, (D, D).
    """

    count: int = 0
    origin: Tensor | None = None
    total: Tensor = field(factory=lambda: torch.zeros(()))
    products: Tensor = field(factory=lambda: torch.zeros(()))

    def add(self, features: Tensor) -> None:
        """Add features (B, D).

        Raises:
            DataError: if one is not finite.
        """
        if not bool(torch.isfinite(features).all()):
            raise DataError(
                "features of real images are not finite",
                remedy="choose other features: these cannot judge such images",
            )
        if self.origin is None:
            self.origin = features[0].double()
        centred_BD = features.double() - self.origin
        self.count += len(features)
        self.total = self.total + centred_BD.sum(dim=0)
        self.products = self.products + centred_BD.T @ centred_BD

    def join(self, other: "Moments") -> None:
        """Add what another process has summed up."""
        if other.origin is None:
            return
        if self.origin is None:
            self.origin = other.origin
        # Their sums are about another origin, which lies `shift` from this one.
        shift_D = other.origin - self.origin
        cross_DD = torch.outer(shift_D, other.total)
        self.count += other.count
        self.total = self.total + other.total + other.count * shift_D
        self.products = self.products + other.products + cross_DD + cross_DD.T
        self.products = self.products + other.count * torch.outer(shift_D, shift_D)

    def statistics(self) -> Statistics:
        """Mean and covariance of all that was added; of two features at least."""
        assert self.origin is not None
        mean_D = self.total / self.count
        spread_DD = self.products - self.count * torch.outer(mean_D, mean_D)
        return Statistics(
            mean=(self.origin + mean_D).numpy(),
            covariance=(spread_DD / (self.count - 1)).numpy(),
        )
