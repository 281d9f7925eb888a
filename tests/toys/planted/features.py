"""Right features, and wrong ones."""

from typing import Final, final

import torch
from torch import Tensor

from dddm.errors import DataError
from dddm.interfaces.features import Extraction, Features
from dddm.interfaces.info import FeaturesInfo, ImageShape
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.support.images import from_uint8, to_uint8
from planted.bug import Bug, bug


class Thirds(Features):
    """Mean, deviation and brightest pixel of an image."""

    dimensions: int | None = 3
    scale = 1.0

    def __init__(self, options: NoOptions) -> None:
        pass

    @property
    def fingerprint(self) -> str:
        return "ab" * 32

    def check_shape(self, shape: ImageShape) -> None:
        pass

    def to(self, device: torch.device) -> None:
        pass

    def values(self, images: Tensor) -> Tensor:
        return images.flatten(1).float() * self.scale

    def extract(self, images: Tensor) -> Tensor:
        values = self.values(images).cpu()
        return torch.stack([values.mean(1), values.std(1), values.amax(1)], dim=1)


@final
class RightFeatures(Thirds):
    pass


@final
class NotANumber(Thirds):
    def extract(self, images: Tensor) -> Tensor:
        found = super().extract(images)
        return found / found[:, :1] * torch.where(found > 254, torch.nan, 1.0)


@final
class DoubleVectors(Thirds):
    def extract(self, images: Tensor) -> Tensor:
        return super().extract(images).double()


@final
class CarriesAGradient(Thirds):
    def __init__(self, options: NoOptions) -> None:
        self.weight = torch.ones(3, requires_grad=True)

    def extract(self, images: Tensor) -> Tensor:
        return super().extract(images) * self.weight


@final
class SaysFour(Thirds):
    dimensions = 4


@final
class FingerprintOfTheObject(Thirds):
    def __init__(self, options: NoOptions) -> None:
        ALIVE.append(self)

    @property
    def fingerprint(self) -> str:
        return f"{id(self):064x}"


ALIVE: Final[list[Features]] = []
"""Whose addresses must not be used again."""


@final
class RandomCrop(Thirds):
    def values(self, images: Tensor) -> Tensor:
        return super().values(images)[:, int(torch.randint(0, 9, ())) :]


@final
class Whitened(Thirds):
    def extract(self, images: Tensor) -> Tensor:
        found = super().extract(images)
        return found - found.mean(0) + 1


@final
class AllAlike(Thirds):
    def extract(self, images: Tensor) -> Tensor:
        return super().extract(images) * 0 + 1


@final
class MissingLogits(Thirds):
    @property
    def has_logits(self) -> bool:
        return True


@final
class OtherFeaturesWithLogits(Thirds):
    def extract_with_logits(self, images: Tensor) -> Extraction:
        return Extraction(features=self.extract(images) + 1)


@final
class InvertsInPlace(Thirds):
    def values(self, images: Tensor) -> Tensor:
        return super().values(images.bitwise_not_())


@final
class MemoryOrder(Thirds):
    def values(self, images: Tensor) -> Tensor:
        strides = images.as_strided((len(images), images[0].numel()), (images[0].numel(), 1))
        return super().values(strides) * torch.linspace(0, 1, strides.shape[1])


@final
class RefusesAll(Thirds):
    def check_shape(self, shape: ImageShape) -> None:
        raise DataError(f"{shape} is not what it is for")


@final
class RefusesByValueError(Thirds):
    def check_shape(self, shape: ImageShape) -> None:
        if shape.channels == 2:
            raise ValueError("two channels")


@final
class SetsThreads(Thirds):
    def extract(self, images: Tensor) -> Tensor:
        torch.set_num_threads(3)
        return super().extract(images)


@final
class TurnsGradientsOff(Thirds):
    def extract(self, images: Tensor) -> Tensor:
        torch.set_grad_enabled(False)
        return super().extract(images)


@final
class UnderAutocast(Thirds):
    def extract(self, images: Tensor) -> Tensor:
        found = super().extract(images)
        mixed: Tensor = found @ torch.tensor([[1.0, 0.5, 0.1], [0.3, 1, 0], [0.1, 0, 1]])
        return mixed


@final
class TrainedOnANumber(Thirds):
    @property
    def trained_on(self) -> str | None:
        return ""


@final
class LostFeatures(Thirds):
    def to(self, device: torch.device) -> None:
        self.scale = 2.0


def with_gradient(_options: NoOptions) -> FeaturesInfo:
    return FeaturesInfo(gradient=True)


@final
class RightGradient(Thirds):
    def extract(self, images: Tensor) -> Tensor:
        return self.embed(from_uint8(images.cpu()))

    def embed(self, images: Tensor) -> Tensor:
        value = images.flatten(1)
        return torch.stack([value.mean(1), value.std(1), value.amax(1)], dim=1)


@final
class EmbedsAnother(Thirds):
    def embed(self, images: Tensor) -> Tensor:
        value = images.flatten(1)
        return torch.stack([value.mean(1), value.std(1), value.amax(1)], dim=1)


@final
class EmbedsWithoutGradient(Thirds):
    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        return self.extract(to_uint8(images))


@final
class SaysNothingOfItsGradient(Thirds):
    def embed(self, images: Tensor) -> Tensor:
        return (images + 1).flatten(1)


BUGS: Final[list[Bug]] = [
    bug(Kind.FEATURES, RightFeatures),
    bug(Kind.FEATURES, RightGradient, describe=with_gradient),
    bug(Kind.FEATURES, EmbedsAnother, "features.embed-equals-extract", describe=with_gradient),
    bug(
        Kind.FEATURES,
        EmbedsWithoutGradient,
        "features.embed-has-a-gradient",
        describe=with_gradient,
    ),
    bug(
        Kind.FEATURES,
        SaysNothingOfItsGradient,
        "features.facts",
        describe=lambda _options: FeaturesInfo(),
    ),
    bug(Kind.FEATURES, NotANumber, "features.one-vector-for-each-image"),
    bug(Kind.FEATURES, DoubleVectors, "features.one-vector-for-each-image"),
    bug(Kind.FEATURES, CarriesAGradient, "features.no-gradient"),
    bug(Kind.FEATURES, SaysFour, "features.dimensions"),
    bug(Kind.FEATURES, FingerprintOfTheObject, "features.fingerprint"),
    bug(Kind.FEATURES, RandomCrop, "features.always-the-same"),
    bug(Kind.FEATURES, Whitened, "features.images-on-their-own"),
    bug(Kind.FEATURES, AllAlike, "features.tells-images-apart"),
    bug(Kind.FEATURES, MissingLogits, "features.logits"),
    bug(Kind.FEATURES, OtherFeaturesWithLogits, "features.logits"),
    bug(Kind.FEATURES, InvertsInPlace, "features.inputs-unchanged"),
    bug(Kind.FEATURES, MemoryOrder, "features.inputs-unchanged"),
    bug(Kind.FEATURES, RefusesAll, "features.shapes"),
    bug(Kind.FEATURES, RefusesByValueError, "features.shapes"),
    bug(Kind.FEATURES, SetsThreads, "features.torch-unchanged"),
    bug(Kind.FEATURES, TurnsGradientsOff, "features.torch-unchanged"),
    bug(Kind.FEATURES, UnderAutocast, "features.autocast-changes-nothing"),
    bug(Kind.FEATURES, TrainedOnANumber, "features.says-what-it-was-trained-on"),
]
ON_A_DEVICE: Final = bug(Kind.FEATURES, LostFeatures, "features.devices")
