"""Precision, recall, density, coverage and authenticity, from one comparison of two sets.

The ball of a feature reaches to its k-th nearest neighbour in the same set.

    precision     share of generated images in a ball of a real one        Kynkäänniemi et al. 2019
    recall        share of real images in a ball of a generated one
    density       balls of real images around a generated one, mean, / k   Naeem et al. 2020
    coverage      share of real images with a generated one in their ball
    authenticity  share of generated images that are farther from their nearest real image than
                  that one is from the other real images                   Alaa et al. 2022

Squared distances are computed in float64 and in blocks, as |x|² + |y|² − 2xy; at 2,048 dimensions
the rounding error is about 1e-13 of |x|².

Legend: N generated images, M real ones, D feature dimensions, Q rows of a block.
"""

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm.interfaces.features import Extraction
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.score import Reference, Score
from dddm.support.noise import generator_for
from dddm_scores.options import NEIGHBOURS, NeighbourOptions

_ROWS: Final = 1024
_COLUMNS: Final = 8192


@final
@frozen(kw_only=True)
class NeighbourhoodValues:
    """All but `density` lie in [0, 1]."""

    precision: float
    recall: float
    density: float
    coverage: float
    authenticity: float


@final
@frozen(kw_only=True, eq=False)
class Neighbourhoods:
    """One set and its balls.

    Attributes:
        features: (M, D), float64.
        reach: squared distance of each to its k-th nearest neighbour in the set, (M,).
        nearest: the same to its nearest neighbour, (M,).
    """

    features: Tensor
    reach: Tensor
    nearest: Tensor


def neighbourhoods_of(features: Tensor, *, neighbours: int = NEIGHBOURS) -> Neighbourhoods:
    """The balls of features (M, D).

    Raises:
        ValueError: if there are not more features than `neighbours`.
    """
    if len(features) <= neighbours:
        raise ValueError(f"{len(features)} features have no {neighbours} neighbours each")
    x_MD = features.double()
    reach, nearest = [], []
    for first in range(0, len(x_MD), _ROWS):
        query_QD = x_MD[first : first + _ROWS]
        best_Qk = query_QD.new_full((len(query_QD), neighbours), torch.inf)
        for column in range(0, len(x_MD), _COLUMNS):
            square_QC = _squares(query_QD, x_MD[column : column + _COLUMNS])
            rows = torch.arange(first, first + len(query_QD))
            own = (rows >= column) & (rows < column + square_QC.shape[1])
            square_QC[own.nonzero()[:, 0], rows[own] - column] = torch.inf
            count = min(neighbours, square_QC.shape[1])
            near_Qk = square_QC.topk(count, dim=1, largest=False).values
            best_Qk = (
                torch.cat([best_Qk, near_Qk], dim=1).topk(neighbours, dim=1, largest=False).values
            )
        ordered_Qk = best_Qk.sort(dim=1).values
        reach.append(ordered_Qk[:, -1])
        nearest.append(ordered_Qk[:, 0])
    return Neighbourhoods(features=x_MD, reach=torch.cat(reach), nearest=torch.cat(nearest))


def compare_neighbourhoods(
    generated: Neighbourhoods, real: Neighbourhoods, *, neighbours: int = NEIGHBOURS
) -> NeighbourhoodValues:
    """The five scores; both sets have balls of the same `neighbours`."""
    x_ND, y_MD = generated.features, real.features
    within = precise = authentic = 0
    recalled_M = torch.zeros(len(y_MD), dtype=torch.bool)
    covered_M = torch.zeros(len(y_MD), dtype=torch.bool)
    for first in range(0, len(x_ND), _ROWS):
        rows = slice(first, first + _ROWS)
        query_QD, own_reach_Q1 = x_ND[rows], generated.reach[rows, None]
        balls_Q = torch.zeros(len(query_QD), dtype=torch.int64)
        least_Q = query_QD.new_full((len(query_QD),), torch.inf)
        least_is_Q = torch.zeros(len(query_QD), dtype=torch.int64)
        for column in range(0, len(y_MD), _COLUMNS):
            columns = slice(column, column + _COLUMNS)
            square_QC = _squares(query_QD, y_MD[columns])
            inside_QC = square_QC <= real.reach[columns]
            balls_Q += inside_QC.sum(dim=1)
            covered_M[columns] |= inside_QC.any(dim=0)
            recalled_M[columns] |= (square_QC <= own_reach_Q1).any(dim=0)
            here_Q, place_Q = square_QC.min(dim=1)
            nearer_Q = here_Q < least_Q
            least_Q = torch.where(nearer_Q, here_Q, least_Q)
            least_is_Q = torch.where(nearer_Q, place_Q + column, least_is_Q)
        within += int(balls_Q.sum())
        precise += int((balls_Q > 0).sum())
        authentic += int((least_Q > real.nearest[least_is_Q]).sum())
    return NeighbourhoodValues(
        precision=precise / len(x_ND),
        recall=float(recalled_M.double().mean()),
        density=within / (neighbours * len(x_ND)),
        coverage=float(covered_M.double().mean()),
        authenticity=authentic / len(x_ND),
    )


def _squares(x_QD: Tensor, y_CD: Tensor) -> Tensor:
    """Squared distances (Q, C), float64, at least 0."""
    square_QC = torch.addmm(y_CD.square().sum(dim=1)[None, :], x_QD, y_CD.T, alpha=-2.0)
    return square_QC.add_(x_QD.square().sum(dim=1)[:, None]).clamp_(min=0.0)


def precision_recall(options: NeighbourOptions) -> Score:
    return NeighbourhoodScore(options, names=("precision", "recall"))


def density_coverage(options: NeighbourOptions) -> Score:
    return NeighbourhoodScore(options, names=("density", "coverage"))


def authenticity(options: NeighbourOptions) -> Score:
    return NeighbourhoodScore(options, names=("authenticity",))


@final
class NeighbourhoodScore(Score):
    """Some of the five values; scores with equal options share one comparison.

    Args:
        names: measures of this score, fields of `NeighbourhoodValues`.
    """

    def __init__(self, options: NeighbourOptions, *, names: Sequence[str]) -> None:
        self._k = options.neighbours
        self._images = options.training_images
        self._names = names

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        real = self._training_neighbourhoods(reference)
        found = generated.cached(
            (__name__, "compared", self._k, self._images, reference),
            lambda: compare_neighbourhoods(
                neighbourhoods_of(generated.features, neighbours=self._k), real, neighbours=self._k
            ),
        )
        images = len(real.features)
        formula = {
            "neighbours": self._k,
            "training_images": images,
            "distance": "euclidean",
            "precision": "float64",
        }
        return {
            name: Measurement(value=getattr(found, name), formula=formula, training_images=images)
            for name in self._names
        }

    def floors(
        self, *, generated: Extraction, reference: Reference
    ) -> Mapping[str, Sequence[Floor]]:
        del generated
        held_out_KD = reference.held_out
        if held_out_KD is None or len(held_out_KD) <= self._k:
            return {}
        found: NeighbourhoodValues = reference.cached(
            (__name__, "held-out", self._k, self._images),
            lambda: compare_neighbourhoods(
                neighbourhoods_of(held_out_KD, neighbours=self._k),
                self._training_neighbourhoods(reference),
                neighbours=self._k,
            ),
        )
        return {
            name: (Floor(name="held-out", value=getattr(found, name), images=len(held_out_KD)),)
            for name in self._names
        }

    def _training_neighbourhoods(self, reference: Reference) -> Neighbourhoods:
        """Of all training images, or of a random sample of them."""

        def compute() -> Neighbourhoods:
            train_MD = reference.train
            if self._images is not None and self._images < len(train_MD):
                generator = generator_for("neighbour images", self._images)
                order = torch.randperm(len(train_MD), generator=generator)
                train_MD = train_MD[order[: self._images]]
            return neighbourhoods_of(train_MD, neighbours=self._k)

        return reference.cached((__name__, "training", self._k, self._images), compute)
