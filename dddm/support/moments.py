"""Mean and covariance of features, also accumulated in batches and over processes.

    μ = Σx / n        Σ = (Σ x xᵀ − n μ μᵀ) / (n − 1)

Sums are float64, of features minus the first image's, which avoids cancellation.

Legend: N images of a set, B of a batch, D feature dimensions.
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
    """Mean (D,) and covariance (D, D) with divisor N − 1; float64."""

    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]


def statistics_of(features: Tensor) -> Statistics:
    """Mean and covariance of features (N, D).

    Raises:
        DataError: if a feature is not finite, or there are fewer than 2 images.
    """
    if len(features) < 2:  # noqa: PLR2004 - a covariance needs two
        raise DataError(
            f"the covariance of features, as in the Fréchet distance, needs at least 2 images, not "
            f"{len(features)}",
            remedy="generate more samples, at best thousands",
        )
    bad = int((~torch.isfinite(features)).any(dim=1).sum())
    if bad:
        raise DataError(
            f"the features of {bad} of {len(features)} images are not finite",
            remedy="use other features for these images",
        )
    value_ND = features.double().cpu().numpy()
    # np.cov returns a scalar for one dimension.
    covariance_DD = np.atleast_2d(np.cov(value_ND, rowvar=False))
    return Statistics(mean=np.mean(value_ND, axis=0), covariance=covariance_DD)


@final
@define(kw_only=True, eq=False)
class RunningMoments:
    """Sums over the features of the images added so far.

    Attributes:
        count: number of images.
        origin: features of the first image, (D,), float64; None before there is one.
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
            DataError: if a feature is not finite.
        """
        if not bool(torch.isfinite(features).all()):
            raise DataError(
                "the features of real images are not finite",
                remedy="use other features for these images",
            )
        if self.origin is None:
            self.origin = features[0].double()
        centred_BD = features.double() - self.origin
        self.count += len(features)
        self.total = self.total + centred_BD.sum(dim=0)
        self.products = self.products + centred_BD.T @ centred_BD

    def as_rows(self) -> Tensor:
        """All of it, (D + 3, D), float64, to be sent; (0, 0) if nothing was added."""
        if self.origin is None:
            return torch.empty(0, 0, dtype=torch.float64)
        count = torch.full_like(self.origin, self.count)
        return torch.cat([self.products, torch.stack([self.total, self.origin, count])])

    @classmethod
    def of_rows(cls, rows: Tensor) -> "RunningMoments":
        """What `as_rows` gave."""
        if not len(rows):
            return cls()
        total, origin, count = rows[-3:]
        return cls(count=int(count[0]), origin=origin, total=total, products=rows[:-3])

    def merge(self, other: "RunningMoments") -> None:
        """Add the sums of another process."""
        if other.origin is None:
            return
        if self.origin is None:
            self.origin = other.origin
        # The other sums are relative to another origin, at distance `shift` from this one.
        shift_D = other.origin - self.origin
        cross_DD = torch.outer(shift_D, other.total)
        self.count += other.count
        self.total = self.total + other.total + other.count * shift_D
        self.products = self.products + other.products + cross_DD + cross_DD.T
        self.products = self.products + other.count * torch.outer(shift_D, shift_D)

    def statistics(self) -> Statistics:
        """Mean and covariance of all images added, at least two."""
        assert self.origin is not None
        mean_D = self.total / self.count
        spread_DD = self.products - self.count * torch.outer(mean_D, mean_D)
        return Statistics(
            mean=(self.origin + mean_D).numpy(),
            covariance=(spread_DD / (self.count - 1)).numpy(),
        )
