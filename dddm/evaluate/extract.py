"""Features of many images: in batches, shared among processes, and cached if they took long.

Legend: N images, D feature dimensions, K images whose features are kept.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, final

import torch
from attrs import evolve, frozen
from torch import Tensor

from dddm.errors import DataError, EnvironmentProblem
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Extraction, Features
from dddm.support.cache import cache_folder, key_of
from dddm.support.checked_tensors import load_checked, save_checked
from dddm.support.image_statistics import image_statistics
from dddm.support.moments import RunningMoments, Statistics, statistics_of
from dddm.support.noise import generator_for
from dddm.training.events import EventBus
from dddm.training.processes import ALONE, Processes
from dddm.training.stopping import StopRequest

BATCH_IMAGES: Final = 256
MAX_KEPT: Final = 50_000
"""Features of at most so many real images are kept, a random sample of a larger set."""
_CACHE_FROM_SECONDS: Final = 2.0
_FORMAT: Final = 3


@final
@frozen(kw_only=True)
class EvaluationContext:
    """Where scores are computed, of a run's samples or of other images."""

    events: EventBus
    device: torch.device
    stop: StopRequest
    processes: Processes = ALONE


@final
@frozen(kw_only=True, eq=False)
class RealFeatures:
    """Features of the real images of one split.

    Attributes:
        kept: of all images, in their order, or of `MAX_KEPT` of them.
        statistics: over all images.
        images: number of all images.
    """

    kept: Extraction
    statistics: Statistics
    images: int


def extract(
    features: Features,
    images: Split | Tensor,
    *,
    index: Tensor | None = None,
    labels: Tensor | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Extraction:
    """Features (N, D), logits and image statistics of images (N, C, H, W), uint8, on the CPU.

    Args:
        images: a tensor, or a split, whose labels are then in the result.
        index: which images, (N,), int64; None for all.
        labels: of all images of a tensor; None if there are none.
        progress: called with the number of images that are done.

    Raises:
        DataError: if a feature or logit is not finite.
    """
    found = extract_together(
        features, images, index=index, labels=labels, processes=ALONE, progress=progress
    )
    assert found is not None
    return found


def extract_together(
    features: Features,
    images: Split | Tensor,
    *,
    index: Tensor | None = None,
    labels: Tensor | None = None,
    processes: Processes,
    progress: Callable[[int], None] = lambda _done: None,
) -> Extraction | None:
    """The same in the first of several processes, each of which extracts every n-th batch.

    None in the others.  Arguments and errors as in `extract`.
    """
    index_N = torch.arange(len(images)) if index is None else index
    batches = torch.split(index_N, BATCH_IMAGES)
    mine: list[Extraction] = []
    for number in range(processes.rank, len(batches), processes.count):
        batch_B = batches[number]
        image_BCHW = images[batch_B] if isinstance(images, Tensor) else images.images(batch_B)
        found = features.extract_with_logits(image_BCHW)
        _check_finite(found, index=batch_B)
        mine.append(evolve(found, image_statistics=image_statistics(image_BCHW)))
        progress(min((number + 1) * BATCH_IMAGES, len(index_N)))
    tensors = {
        name: _in_order([getattr(part, name) for part in mine], processes=processes)
        for name in processes.from_main(lambda: _names_of(mine[0]))
    }
    if not processes.main:
        return None
    if not isinstance(images, Tensor):
        labels = images.labels(index_N)
    elif labels is not None:
        labels = labels[index_N]
    return _extraction_of({**tensors, **({} if labels is None else {"labels": labels})})


def _names_of(found: Extraction) -> list[str]:
    """What there is beside labels."""
    names = ("features", "logits", "image_statistics")
    return [name for name in names if getattr(found, name) is not None]


def _in_order(mine: Sequence[Tensor], *, processes: Processes) -> Tensor:
    """Rows of all batches in the first process, of which this one has every n-th."""
    shares = processes.collect(torch.cat(list(mine)) if mine else torch.empty(0))
    if shares is None:
        return torch.empty(0)
    batches = [torch.split(share, BATCH_IMAGES) for share in shares]
    every = range(sum(map(len, batches)))
    return torch.cat([batches[k % processes.count][k // processes.count] for k in every])


def _check_finite(found: Extraction, *, index: Tensor) -> None:
    for what, number_BD in (("features", found.features), ("logits", found.logits)):
        if number_BD is None:
            continue
        bad_B = ~torch.isfinite(number_BD).all(dim=1)
        if bool(bad_B.any()):
            raise DataError(
                f"the {what} of image {int(index[bad_B][0])} are not finite, and those of "
                f"{int(bad_B.sum()) - 1} more of {len(bad_B)} images",
                where="evaluate.features",
                remedy="use other features for these images",
            )


def real_features(
    features: Features,
    split: Split,
    *,
    identity: Mapping[str, Any],
    context: EvaluationContext,
    progress: Callable[[int], None] = lambda _done: None,
    max_kept: int = MAX_KEPT,
) -> RealFeatures | None:
    """Features of a split's images, from the cache if they are in it; all processes call this.

    Args:
        split: its manifest identifies the images.
        identity: `ComponentConfig.identity` of the features; their own fingerprint might leave out
            an option and then match features of another option in the cache.
        max_kept: number of images whose features are kept.

    Returns:
        None in a process other than the first.

    Raises:
        DataError: if a feature is not finite.
    """
    processes = context.processes

    def compute() -> dict[str, Tensor] | None:
        if len(split) > max_kept:
            found = _from_sums(
                features, split, max_kept=max_kept, processes=processes, progress=progress
            )
            return None if found is None else _to_store(found)
        kept = extract_together(features, split, processes=processes, progress=progress)
        if kept is None:
            return None
        statistics = statistics_of(kept.features)
        return _to_store(RealFeatures(kept=kept, statistics=statistics, images=len(split)))

    stored = _cached(
        {
            "features": identity,
            "fingerprint": features.fingerprint,
            "images": split.manifest,
            "kept": min(max_kept, len(split)),
        },
        compute,
        context=context,
    )
    return None if stored is None else _from_stored(stored)


def extract_cached(
    features: Features,
    split: Split,
    *,
    identity: Mapping[str, Any],
    context: EvaluationContext,
    progress: Callable[[int], None] = lambda _done: None,
) -> Extraction | None:
    """As `extract_together`, of all images, from the cache if they are in it."""

    def compute() -> dict[str, Tensor] | None:
        found = extract_together(features, split, processes=context.processes, progress=progress)
        return None if found is None else _tensors_of(found)

    stored = _cached(
        {"features": identity, "fingerprint": features.fingerprint, "all of": split.manifest},
        compute,
        context=context,
    )
    return None if stored is None else _extraction_of(stored)


def _cached(
    identity: Mapping[str, Any],
    compute: Callable[[], dict[str, Tensor] | None],
    *,
    context: EvaluationContext,
) -> dict[str, Tensor] | None:
    """What was computed, in the first process; None in the others."""
    key = key_of(
        {
            "format": _FORMAT,
            **identity,
            "torch": torch.__version__,
            "device": context.device.type,
        }
    )
    try:
        path = cache_folder() / "features" / f"{key[:24]}.safetensors"
    except EnvironmentProblem:
        return compute()
    stored = load_checked(path) if context.processes.main else None
    if context.processes.from_main(lambda: stored is not None):
        return stored
    began = time.perf_counter()
    found = compute()
    if found is not None and time.perf_counter() - began >= _CACHE_FROM_SECONDS:
        with suppress(EnvironmentProblem, OSError):  # the cache is optional
            save_checked(path, found)
    return found


def _from_sums(
    features: Features,
    split: Split,
    *,
    max_kept: int,
    processes: Processes,
    progress: Callable[[int], None],
) -> RealFeatures | None:
    """Mean and covariance from sums over all images, and the features of a sample."""
    order_N = torch.randperm(len(split), generator=generator_for("kept features", max_kept))
    is_kept_N = torch.zeros(len(split), dtype=torch.bool)
    is_kept_N[order_N[:max_kept]] = True
    index_K = is_kept_N.nonzero()[:, 0]
    kept = extract_together(features, split, index=index_K, processes=processes, progress=progress)
    moments = RunningMoments()
    if kept is not None:
        moments.add(kept.features)
    others = torch.split((~is_kept_N).nonzero()[:, 0], BATCH_IMAGES)
    for number in range(processes.rank, len(others), processes.count):
        moments.add(features.extract_with_logits(split.images(others[number])).features)
        progress(min(max_kept + (number + 1) * BATCH_IMAGES, len(split)))
    shares = processes.collect(moments.as_rows())
    if shares is None or kept is None:
        return None
    total = RunningMoments()
    for rows in shares:
        total.merge(RunningMoments.of_rows(rows))
    return RealFeatures(kept=kept, statistics=total.statistics(), images=len(split))


def _to_store(found: RealFeatures) -> dict[str, Tensor]:
    return {
        **_tensors_of(found.kept),
        "mean": torch.from_numpy(found.statistics.mean).contiguous(),
        "covariance": torch.from_numpy(found.statistics.covariance).contiguous(),
        "images": torch.tensor(found.images),
    }


def _from_stored(stored: dict[str, Tensor]) -> RealFeatures:
    return RealFeatures(
        kept=_extraction_of(stored),
        statistics=Statistics(mean=stored["mean"].numpy(), covariance=stored["covariance"].numpy()),
        images=int(stored["images"]),
    )


def _tensors_of(found: Extraction) -> dict[str, Tensor]:
    tensors = {
        "features": found.features,
        "logits": found.logits,
        "image_statistics": found.image_statistics,
        "labels": found.labels,
    }
    return {name: value.contiguous() for name, value in tensors.items() if value is not None}


def _extraction_of(stored: Mapping[str, Tensor]) -> Extraction:
    return Extraction(
        features=stored["features"],
        logits=stored.get("logits"),
        image_statistics=stored.get("image_statistics"),
        labels=stored.get("labels"),
    )
