"""How two sets of features lie among each other: five scores from the same distances.

A set covers the balls around its features that reach to their k-th nearest neighbour in the set.

    precision     share of generated images in a ball of a real one        Kynkäänniemi et al. 2019
    recall        share of real images in a ball of a generated one
    density       balls of real images around a generated one, mean, / k   Naeem et al. 2020
    coverage      share of real images with a generated one in their ball
    authenticity  share of generated images that are farther from their nearest real image than
                  that one is from the other real images                   Alaa et al. 2022

All distances are squared and taken in float64 in blocks: |x|² + |y|² − 2xy, whose rounding at 2,048
dimensions is some 1e-13 of |x|².

Legend: N generated images, M real ones, D feature dimensions, Q rows of a block.
"""

from typing import Final, final

import torch
from attrs import frozen
from torch import Tensor

from dddm_scores.options import NEIGHBOURS

_ROWS: Final = 1024
_COLUMNS: Final = 8192


@final
@frozen(kw_only=True)
class NeighbourhoodScores:
    """All but `density` lie in [0, 1]; about 1 is best for `density` and `authenticity`."""

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
) -> NeighbourhoodScores:
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
    return NeighbourhoodScores(
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
