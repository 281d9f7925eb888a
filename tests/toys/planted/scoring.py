"""Features and scores with planted mistakes."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from attrs import frozen
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.dataset import Split
from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import Better, FeaturesInfo, ImageShape, Measure, ScoreInfo
from dddm.interfaces.measurement import Floor, Measurement
from dddm.interfaces.plugin import Kind, NoOptions, option
from dddm.interfaces.score import Reference, Score
from dddm.support.images import from_uint8, to_uint8
from planted.bug import Bug, Planter, first, given, then

ALIVE: Final[list[object]] = []
"""Whose addresses must not be used again."""


class Thirds(Features):
    """Mean, deviation and brightest pixel of an image."""

    dimensions: int | None = 3
    scale = 1.0
    fingerprint = "ab" * 32

    def __init__(self, options: NoOptions) -> None:
        pass

    def check_shape(self, shape: ImageShape) -> None:
        pass

    def to(self, device: torch.device) -> None:
        pass

    def values(self, images: Tensor) -> Tensor:
        return images.flatten(1).float() * self.scale

    def extract(self, images: Tensor) -> Tensor:
        return moments(self.values(images).cpu())


def moments(values: Tensor) -> Tensor:
    return torch.stack([values.mean(1), values.std(1), values.amax(1)], dim=1)


def embed(_: object, images: Tensor) -> Tensor:
    return moments(images.flatten(1))


def whole_of_memory(images: Tensor) -> Tensor:
    size = images[0].numel()
    return images.as_strided((len(images), size), (size, 1)) * torch.linspace(0, 1, size)


def refusing(self: object, shape: ImageShape) -> None:
    raise DataError(f"{shape} is not supported")


def value_error(self: object, shape: ImageShape) -> None:
    if shape.channels == 2:
        raise ValueError("two channels")


def learned_from(self: Any, images: Split, *, flips: bool) -> None:
    self.fingerprint = self.trained_on = images.manifest


def learned_in_secret(self: Any, images: Split, *, flips: bool) -> None:
    self.fingerprint = images.manifest


def learned_anew(self: Any, **_: Any) -> None:
    self.scale = 1 + float(torch.rand(()))


@frozen(kw_only=True)
class ScaleOptions:
    scale: float = option(1.0, above=0, help="Factor of the pixels.")


class Scaled(Thirds):
    def __init__(self, options: Any) -> None:
        self.options = options
        self.scale = options.scale


SCALED: Final = {"options": ScaleOptions}
GRADIENT: Final = {"describe": lambda _options: FeaturesInfo(gradient=True)}
MIXTURE: Final = torch.tensor([[1.0, 0.5, 0.1], [0.3, 1, 0], [0.1, 0, 1]])
features = Planter(Kind.FEATURES, Thirds)
FEATURES: Final[list[Bug]] = [
    features("right"),
    features("right-gradient", embed=embed, register=GRADIENT,
             extract=lambda self, images: embed(self, from_uint8(images.cpu()))),
    features("right-learned", identify=learned_from, trained_on=None),
    features("learns-anew", "prepares-once", prepare=learned_anew),
    features("learns-in-secret", "learns-what-it-says", identify=learned_in_secret),
    features("embeds-another", "embed-equals-extract", embed=embed, register=GRADIENT),
    features("embeds-without-gradient", "embed-has-a-gradient", register=GRADIENT,
             embed=lambda self, images: self.extract(to_uint8(images.detach()))),
    features("maps-without-gradient", "maps", embed=embed, register=GRADIENT,
             extract=lambda self, images: embed(self, from_uint8(images.cpu())),
             maps=lambda self, images: [images.detach()]),
    features("undeclared-gradient", "facts", register={"describe": lambda _: FeaturesInfo()},
             embed=lambda self, images: (images + 1).flatten(1)),
    features("not-a-number", "one-vector-for-each-image", extract=then(
        lambda v: v / v[:, :1] * torch.where(v > 254, torch.nan, 1.0))),
    features("float64", "one-vector-for-each-image", extract=then(Tensor.double)),
    features("carries-a-gradient", "no-gradient",
             extract=then(lambda v: v * torch.ones(3, requires_grad=True))),
    features("declares-four", "dimensions", dimensions=4),
    features("fingerprint-of-the-object", "fingerprint", setup=ALIVE.append,
             fingerprint=property(lambda self: f"{id(self):064x}")),
    features("random-crop", "always-the-same",
             values=then(lambda v: v[:, int(torch.randint(0, 9, ())) :])),
    features("whitened", "images-on-their-own", extract=then(lambda v: v - v.mean(0) + 1)),
    features("fingerprint-without-options", "fingerprint-of-the-options", base=Scaled,
             register=SCALED),
    features("right-options", base=Scaled, register=SCALED, fingerprint=property(
        lambda self: hashlib.sha256(f"{self.options}".encode()).hexdigest())),
    features("reseeding", "generators-unchanged", extract=first(lambda *_: torch.manual_seed(0))),
    features("all-alike", "tells-images-apart", extract=then(lambda v: v * 0 + 1)),
    features("missing-logits", "logits", has_logits=True),
    features("other-features-with-logits", "logits", extract_with_logits=lambda self, images: (
        Extraction(features=self.extract(images) + 1))),
    features("inverts-in-place", "inputs-unchanged", values=given(images=Tensor.bitwise_not_)),
    features("assumes-memory-order", "inputs-unchanged", values=given(images=whole_of_memory)),
    features("refuses-all", "shapes", check_shape=refusing),
    features("refuses-by-value-error", "shapes", check_shape=value_error),
    features("sets-threads", "torch-unchanged", extract=first(lambda *_: torch.set_num_threads(3))),
    features("turns-gradients-off", "torch-unchanged",
             extract=first(lambda *_: torch.set_grad_enabled(False))),
    features("under-autocast", "autocast-changes-nothing", extract=then(lambda v: v @ MIXTURE)),
    features("trained-on-nothing", "says-what-it-was-trained-on", trained_on=""),
    features("lost-on-a-device", "devices", to=lambda self, device: setattr(self, "scale", 2.0)),
]  # fmt: skip


def facts(better: Better = "less", *, times: int = 1) -> dict[str, Any]:
    measure = Measure(name="means", words="Means", better=better, explained="how far they differ")
    said = ScoreInfo(measures=(measure,) * times, fewest_images=2)
    return {"describe": lambda _options: said}


class Means(Score):
    """How far the means of features are apart."""

    def __init__(self, options: NoOptions) -> None:
        pass

    def value(self, generated: Extraction, reference: Reference) -> float:
        apart = generated.features.mean(0) - reference.train.mean(0)
        return float(apart.square().sum())

    def measure(self, *, generated: Extraction, reference: Reference) -> Mapping[str, Measurement]:
        return {"means": Measurement(value=self.value(generated, reference))}


def held_out_floor(
    self: Any, *, generated: Extraction, reference: Reference
) -> Mapping[str, Sequence[Floor]]:
    if reference.held_out is None:
        return {}
    value = self.value(Extraction(features=reference.held_out), reference)
    return {"means": (Floor(name="held-out", value=value, images=len(reference.held_out)),)}


def require_five(_: Any, generated: Extraction, _reference: Reference) -> None:
    if len(generated.features) < 5:
        raise ValueError("too few")


def first_and_last(self: Any, generated: Extraction, reference: Reference) -> float:
    one, last = generated.features[0, 0], generated.features[-1, 0]
    return Means.value(self, generated, reference) + 1000 * float(one > last)


score = Planter(Kind.SCORE, Means, facts())
SCORES: Final[list[Bug]] = [
    score("right", floors=held_out_floor),
    score("declares-nothing", "says-what-it-measures", register={"describe": None}),
    score("declares-it-twice", "says-what-it-measures", register=facts(times=2)),
    score("gives-another", "gives-what-it-says", measure=then(lambda m: {"mean": m["means"]})),
    score("no-number", "gives-what-it-says", value=then(lambda value: float("nan"))),
    score("needs-more-images", "fewest-images", value=first(require_five)),
    score("more-is-better", "real-images-are-better", register=facts("more")),
    score("draws-again", "always-the-same",
          value=then(lambda value: value + 1e-3 * float(torch.rand(())))),
    score("first-and-last", "order-of-images", value=first_and_last),
    score("centres-in-place", "inputs-unchanged", value=first(
        lambda self, generated, reference: generated.features.sub_(reference.train.mean(0)))),
    score("reseeding", "generators-unchanged", value=first(lambda *_: torch.manual_seed(0))),
    score("requires-logits", "logits-only-where-said",
          value=first(lambda self, generated, _: generated.logits.sum())),
    score("floor-of-another", "floors", floors=lambda self, *, generated, reference: (
        {"deviations": ()})),
    score("sets-threads", "torch-unchanged", value=first(lambda *_: torch.set_num_threads(3))),
]  # fmt: skip
BUGS: Final = [*FEATURES, *SCORES]
