"""On what a score must be taken to be the one that others publish under its name.

A Fréchet distance in Inception's features is FID only over 50,000 samples against the whole
training set: over fewer it is larger for the same samples.  Imports no torch.
"""

from collections.abc import Iterator
from typing import final

from attrs import frozen

from dddm.interfaces.info import Measure
from dddm.interfaces.plugin import option


@final
@frozen(kw_only=True)
class Protocol:
    """Table `[evaluate.protocol]`."""

    name: str = option(help="What warnings call it.")
    features: tuple[str, ...] = option(
        help="Full ids of the features that it is about, without options of one's own."
    )
    images: int = option(at_least=1, help="Generated images that a score is taken over.")
    training_images: int | None = option(
        None,
        at_least=1,
        help="Training images that it is taken against; without it all, however many.",
    )
    sampled_training_images: int | None = option(
        None,
        at_least=1,
        help="Training images that scores are taken against which can be taken against some of "
        "them, such as precision and recall; without it all.",
    )
    published_names: bool = option(
        default=False,
        help="Call scores as papers do where the protocol is kept: fid, is, kid, precision, …",
    )


@final
@frozen(kw_only=True)
class Taken:
    """What a score was taken on.

    Attributes:
        measure: what was measured.
        features: full id of the features.
        as_they_come: whether these have no option that was changed, such as weights of one's own.
        images: generated images.
        training_images: those of the data set that the score is taken against.
        sampled_training_images: training images that it is taken against, where a score can be
            taken against some of them; None for any other.
    """

    measure: Measure
    features: str
    as_they_come: bool
    images: int
    training_images: int
    sampled_training_images: int | None

    @property
    def plain_name(self) -> str:
        """Measure, features and number of images, as `fd-digits-classifier@1500`."""
        return f"{self._in_features}@{self.images}"

    @property
    def _in_features(self) -> str:
        return f"{self.measure.name}-{self.features.rpartition(':')[2]}"

    def name(self, protocol: Protocol | None) -> str:
        """What the score is called: without a number only where the protocol is kept."""
        if protocol is None or any(self.departures(protocol)):
            return self.plain_name
        published = self.measure.published or self.measure.name
        return published if protocol.published_names else self._in_features

    def departures(self, protocol: Protocol) -> Iterator[str]:
        """Where the score was not taken as the protocol says; nothing where it was."""
        if self.features not in protocol.features:
            yield f"features {self.features}, not {' or '.join(protocol.features)}"
        elif not self.as_they_come:
            yield f"features {self.features} with options of one's own"
        counts = [("generated images", self.images, protocol.images)]
        counts += [("training images", self.training_images, protocol.training_images or 0)]
        if self.sampled_training_images is not None:
            all_or_some = protocol.sampled_training_images or self.training_images
            counts += [("sampled training images", self.sampled_training_images, all_or_some)]
        for what, here, there in counts:
            if there and here != there:
                yield f"{here:,} {what}, not {there:,}"


def warning_of(protocol: Protocol, departures: Iterator[str]) -> str | None:
    """A sentence for readers of the scores; None where the protocol is kept."""
    found = "; ".join(departures)
    if not found:
        return None
    return (
        f"these scores do not follow the protocol {protocol.name}, and compare with no published "
        f"ones: {found}"
    )
