"""Checks the claims of a run: draws images again by seed and number, and scores again.

Of each set of samples, blocks chosen at random are drawn from the weights and compared with the
stored images; then sets that are complete are scored against the recipe's images, as far as these
and the features are here.  Sets that were drawn again as a whole are scored as they were drawn.

    verified       images drawn again agree with those stored, and so does the score
    scored only    the score agrees, measured on stored images that were not drawn again
    printed only   it cannot be measured here
    contradicted   the score, or the images drawn again, are others

An image agrees if it differs by at most 2 of 255 levels on average, and a set if 19 of 20 of its
images do; a score if it differs by at most 2 % of itself or of what a resample of the training
images scores, whichever is more.  On the CPU and the versions that made them, both are equal; other
machines round otherwise, and a sampler of many steps amplifies that.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, final

import torch
from attrs import define, evolve, field, frozen
from torch import Tensor

from dddm.errors import DataError, DddmError, StoppedEarly
from dddm.evaluate.evaluate import image_set
from dddm.evaluate.evaluator import ImageSet, score_sets
from dddm.evaluate.extract import EvaluationContext
from dddm.evaluate.record import FROM_RECIPE, ScoreRecord, read_scores
from dddm.evaluate.score_images import open_real
from dddm.generate.generate import identity_of, planned_sample_folders
from dddm.generate.generator import Generator, load_generator
from dddm.generate.sample import generate_blocks, labels_of
from dddm.generate.storage import ARRAYS, Samples, load_samples
from dddm.interfaces.sampler import Sampler
from dddm.recipe.evaluation import read_evaluation
from dddm.recipe.model import SampleSpec
from dddm.registry.catalogue import Catalogue
from dddm.support.files import sha256_of
from dddm.training.context import RunContext
from dddm.training.needed_weights import verify_weights

Verdict = Literal["verified", "scored only", "printed only", "contradicted"]

IMAGE_LEVELS: Final = 2.0
SHARE_OF_IMAGES: Final = 0.95
SHARE_OF_SCORE: Final = 0.02
OF_IMAGES: Final = "of_images"
"""Key in the manifest of samples of which an export stores the first: how many there were."""
_RESAMPLE: Final = "resample"
_NOT_IDENTITY: Final = frozenset({"images", "checkpoint", "weights"})


@final
@define(kw_only=True)
class DrawnSet:
    """A stored set of samples, and what was drawn again of it.

    Attributes:
        stored: images in the folder.
        images: that were drawn when the set was scored.
        drawn: how many of the stored images were drawn again.
        unlike: how many of these differ by more than `IMAGE_LEVELS` on average.
        largest: difference of one value, in levels of 255.
        mean: difference, likewise.
        problem: why what was drawn cannot be these images, a phrase.
        again: all images drawn again, (N, C, H, W), and their labels, (N,), or None without
            classes; None where it was a part.
    """

    path: Path
    samples: Samples
    images: int
    drawn: int = 0
    unlike: int = 0
    largest: int = 0
    mean: float = 0.0
    problem: str | None = None
    again: tuple[Tensor, Tensor | None] | None = field(default=None, repr=False)

    @property
    def stored(self) -> int:
        return len(self.samples.images)

    @property
    def agrees(self) -> bool | None:
        """Whether the images drawn again are those stored; None where none were drawn."""
        if self.problem is not None:
            return False
        return None if not self.drawn else self.unlike <= (1 - SHARE_OF_IMAGES) * self.drawn

    def compare(self, first: int, drawn_BCHW: Tensor) -> None:
        """Compare consecutive images with those stored, as far as they are."""
        stored_BCHW = self.samples.images[first : first + len(drawn_BCHW)]
        if not len(stored_BCHW):
            return
        difference_BCHW = (drawn_BCHW[: len(stored_BCHW)].int() - stored_BCHW.int()).abs()
        mean_B = difference_BCHW.double().mean(dim=(1, 2, 3))
        self.unlike += int((mean_B > IMAGE_LEVELS).sum())
        self.largest = max(self.largest, int(difference_BCHW.max()))
        self.mean = (self.mean * self.drawn + float(mean_B.sum())) / (self.drawn + len(mean_B))
        self.drawn += len(mean_B)

    def to_score(self) -> ImageSet | None:
        """The whole set, drawn again if that was done; None where it is not whole."""
        if self.again is None and self.stored < self.images:
            return None
        found = image_set(self.samples, sha256=sha256_of(self.path / ARRAYS))
        if self.again is None:
            return found
        image_NCHW, label_N = self.again
        return evolve(found, images=image_NCHW, labels=label_N)


@final
@frozen(kw_only=True)
class Claim:
    """A score of the run and what became of it.

    Attributes:
        measured: the value found now; None where it could not be measured.
        why: more about the verdict, a phrase; empty where there is nothing to add.
    """

    record: ScoreRecord
    measured: float | None
    verdict: Verdict
    why: str = ""


@final
@frozen(kw_only=True)
class Verification:
    """What was drawn, and all claims."""

    sets: tuple[DrawnSet, ...]
    claims: tuple[Claim, ...]

    @property
    def contradictions(self) -> int:
        """Sets and claims that are not what the run says."""
        sets = sum(one.agrees is False for one in self.sets)
        return sets + sum(claim.verdict == "contradicted" for claim in self.claims)


def verify(
    context: RunContext, *, images: int, catalogue: Catalogue, random: Random
) -> Verification:
    """Draw images again and score again.

    Args:
        images: to draw of each set, rounded up to whole blocks; 0 for none.
        random: chooses the blocks.

    Raises:
        DataError: if weights, samples or scores are missing or damaged.
        StoppedEarly: when asked to stop.
    """
    claims = read_scores(context.folder.scores)
    sets = draw_again(context, images=images, random=random)
    measured: dict[str, list[float]] = {}
    reasons: dict[str, str] = {}
    for preset in dict.fromkeys(claim.requested_by for claim in claims):
        try:
            for record in _score(sets, context, requested_by=preset, catalogue=catalogue):
                measured.setdefault(_key(record), []).append(record.value)
        except StoppedEarly:
            raise
        except DddmError as error:
            reasons[preset] = error.what
    return Verification(
        sets=tuple(sets),
        claims=tuple(
            _judged(
                claim,
                measured=next(iter(measured.pop(_key(claim), [])), None),
                sets=_sets_of(claim, sets),
                reason=reasons.get(claim.requested_by, ""),
            )
            for claim in claims
        ),
    )


def draw_again(context: RunContext, *, images: int, random: Random) -> list[DrawnSet]:
    """The recipe's sets of samples that are stored, with what was drawn again of each.

    Args:
        images: as of `verify`.
    """
    generator = load_generator(context)
    found: list[DrawnSet] = []
    for spec, folders in planned_sample_folders(context.recipe, context.folder):
        sets: dict[int, DrawnSet] = {}
        for steps, path in folders.items():
            if path.is_dir():
                samples = load_samples(path)
                whole = max(len(samples.images), int(samples.facts.get(OF_IMAGES, 0)))
                sets[steps] = DrawnSet(path=path, samples=samples, images=whole)
                sets[steps].problem = _other_order(
                    samples.facts, identity_of(spec, steps=steps, generator=generator)
                )
        found += sets.values()
        drawable = {steps: one for steps, one in sets.items() if one.problem is None}
        if images and drawable:
            _draw(spec, drawable, images=images, generator=generator, context=context, rng=random)
    return found


def _other_order(facts: Mapping[str, Any], identity: Mapping[str, Any]) -> str | None:
    """In what the stored samples were not drawn as the recipe says."""
    for name, value in identity.items():
        if name not in _NOT_IDENTITY and facts.get(name) != value:
            return f"they were drawn with {name} = {facts.get(name)!r}, the recipe has {value!r}"
    return None


def _draw(
    spec: SampleSpec,
    sets: Mapping[int, DrawnSet],
    *,
    images: int,
    generator: Generator,
    context: RunContext,
    rng: Random,
) -> None:
    sampler: Sampler = spec.sampler.instantiate()
    whole = images >= max(one.images for one in sets.values())
    among = max(one.images if whole else one.stored for one in sets.values())
    spec = evolve(spec, steps=tuple(sets), images=among)
    count = min(spec.blocks, math.ceil(images / spec.block_images))
    numbers = sorted(rng.sample(range(spec.blocks), count))
    drawn: dict[int, list[Tensor]] = {steps: [] for steps in sets}

    def progress(blocks_done: int, _evaluations: int) -> None:
        context.stop.raise_if_requested(where=f"{spec.name}: {blocks_done} of {count} blocks")

    for block in generate_blocks(
        spec, generator=generator, sampler=sampler, numbers=numbers, progress=progress
    ):
        for steps, image_BCHW in block.images.items():
            sets[steps].compare(block.number * spec.block_images, image_BCHW)
            drawn[steps].append(image_BCHW)
    if whole:
        for steps, one in sets.items():
            label_N = labels_of(spec, torch.arange(one.images), classes=generator.classes)
            one.again = torch.cat(drawn[steps])[: one.images], label_N


def _score(
    sets: Sequence[DrawnSet], context: RunContext, *, requested_by: str, catalogue: Catalogue
) -> Iterator[ScoreRecord]:
    recipe = context.recipe
    evaluation = (
        recipe.evaluate
        if requested_by == FROM_RECIPE
        else read_evaluation(requested_by, catalogue=catalogue)
    )
    whole = [found for one in sets if (found := one.to_score()) is not None]
    if evaluation is None or not whole:
        raise DataError("the images that were scored are not here")
    verify_weights((*evaluation.features, *evaluation.scores))
    where = EvaluationContext(events=context.events, device=context.device, stop=context.stop)
    real = open_real(recipe.data, context=where)
    if real.train.manifest != context.folder.read_about().get("data_manifest"):
        raise DataError("the images here are not those that the run was trained on")
    yield from score_sets(
        whole,
        evaluation=evaluation,
        real=real,
        recipe=recipe,
        context=where,
        provenance={"requested_by": requested_by},
    )


_OF_SAMPLES: Final = ("sampler", "sampler_options", "guidance", "steps", "seed", "labels")


def _key(record: ScoreRecord) -> str:
    """Equal for a claim and its measurement."""
    samples = [record.samples.get(name) for name in _OF_SAMPLES]
    seeds = len(record.provenance.get("sets") or [None])
    return json.dumps([record.name, record.measure.name, seeds, samples], sort_keys=True)


def _sets_of(claim: ScoreRecord, sets: Sequence[DrawnSet]) -> list[DrawnSet]:
    """Those that it is about: several where it is a mean over seeds."""
    seeds = [one.get("seed") for one in claim.provenance.get("sets") or [claim.samples]]
    names = [name for name in _OF_SAMPLES if name != "seed"]
    return [
        one
        for one in sets
        if one.samples.facts.get("seed") in seeds
        and all(one.samples.facts.get(name) == claim.samples.get(name) for name in names)
    ]


def _judged(
    claim: ScoreRecord, *, measured: float | None, sets: Sequence[DrawnSet], reason: str
) -> Claim:
    verdict: Verdict = "verified"
    why = ""
    if any(one.agrees is False for one in sets):
        verdict, why = "contradicted", "images drawn again are others"
    elif measured is None:
        verdict, why = "printed only", reason or "the images that were scored are not here"
    elif abs(measured - claim.value) > _tolerance(claim):
        verdict, why = "contradicted", "the score is another number"
    elif not sets or any(one.agrees is None for one in sets):
        verdict, why = "scored only", "its images were not drawn again"
    return Claim(record=claim, measured=measured, verdict=verdict, why=why)


def _tolerance(claim: ScoreRecord) -> float:
    floor = claim.floor(_RESAMPLE)
    return SHARE_OF_SCORE * max(abs(claim.value), 0.0 if floor is None else abs(floor.value))
