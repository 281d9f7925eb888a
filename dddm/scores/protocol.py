"""On what a score must be taken to be the one that others publish under its name.

A Fréchet distance in Inception's features is FID only over 50,000 samples against the whole
training set: over fewer it is larger for the same samples.  Imports no torch.
"""

from collections.abc import Iterator
from typing import Final, final

from attrs import frozen

from dddm.interfaces.plugin import option
from dddm.scores.kinds import NEIGHBOURS

_OF_NEIGHBOURS: Final = frozenset({"precision", "recall", "density", "coverage", "authenticity"})
_PUBLISHED: Final = {"fd": "fid"}
"""What papers call a score in Inception's features; other scores are called as here."""


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
    neighbour_images: int | None = option(
        None,
        at_least=NEIGHBOURS + 1,
        help="Training images that precision and its kin are taken against; without it all.",
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
        metric: one of `dddm.scores.kinds.KINDS`.
        features: full id of the features.
        as_they_come: whether these have no option that was changed, such as weights of one's own.
        images: generated images.
        training_images: those of the data set that the score is taken against.
        neighbour_images: training images that precision and its kin are taken against.
    """

    metric: str
    features: str
    as_they_come: bool
    images: int
    training_images: int
    neighbour_images: int

    @property
    def plain_name(self) -> str:
        """Metric, features and number of images, as `fd-digits-classifier@1500`."""
        return f"{self._measure}@{self.images}"

    @property
    def _measure(self) -> str:
        return f"{self.metric}-{self.features.rpartition(':')[2]}"

    def name(self, protocol: Protocol | None) -> str:
        """What the score is called: without a number only where the protocol is kept."""
        if protocol is None or any(self.departures(protocol)):
            return self.plain_name
        return (
            _PUBLISHED.get(self.metric, self.metric) if protocol.published_names else self._measure
        )

    def departures(self, protocol: Protocol) -> Iterator[str]:
        """Where the score was not taken as the protocol says; nothing where it was."""
        if self.features not in protocol.features:
            yield f"features {self.features}, not {' or '.join(protocol.features)}"
        elif not self.as_they_come:
            yield f"features {self.features} with options of one's own"
        counts = [("generated images", self.images, protocol.images)]
        counts += [("training images", self.training_images, protocol.training_images or 0)]
        if self.metric in _OF_NEIGHBOURS:
            all_or_some = protocol.neighbour_images or self.training_images
            counts += [("training images' neighbourhoods", self.neighbour_images, all_or_some)]
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
