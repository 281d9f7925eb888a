"""The conditions under which a score may carry its published name.

A Fréchet distance in Inception's features is FID only over 50,000 samples against the whole
training set: over fewer it is larger for the same samples.
"""

from collections.abc import Mapping
from typing import Any, Literal, final

from attrs import frozen

from dddm.interfaces.info import Measure
from dddm.interfaces.plugin import option


@final
@frozen(kw_only=True)
class Protocol:
    """Table `[evaluate.protocol]`."""

    name: str = option(help="Its name in warnings.")
    features: tuple[str, ...] = option(help="Full ids of its features, which keep their defaults.")
    images: int = option(at_least=1, help="Generated images that a score is measured on.")
    training_images: int | None = option(
        None,
        at_least=1,
        help="Training images that they are compared with; without it all, however many.",
    )
    sampled_training_images: int | None = option(
        None,
        at_least=1,
        help="Training images for scores that can use some of them, such as precision and recall; "
        "without it all.",
    )
    data_options: tuple[str, ...] | None = option(
        None,
        help='Options of the data set that they are read with, such as "resize=adm"; without it '
        "any.",
    )
    classes: Literal["in-turn", "random"] | None = option(
        None,
        help="How generated images took their classes: as many of each, in turn, or each at "
        "random.  Images of unknown origin are believed; without it either way.",
    )
    published_names: bool = option(
        default=False,
        help="Use the names in publications where the protocol is followed: fid, is, kid, …",
    )

    def deviations(
        self,
        *,
        features: str,
        default_options: bool,
        images: int,
        training_images: int,
        sampled_training_images: int | None,
        data: str,
        data_options: Mapping[str, Any],
        random_classes: bool | None,
    ) -> list[str]:
        """How a score was measured differently; empty where the protocol was followed.

        Args:
            features: full id of the features.
            default_options: whether all options of the features have their defaults.
            training_images: of the data set.
            sampled_training_images: those that the score used, if it can use some; else None.
            data: full id of the data set.
            data_options: its options.
            random_classes: whether generated images took their classes at random; None if that is
                unknown, or there are no classes.
        """
        found = []
        if features not in self.features:
            found.append(f"features {features}, not {' or '.join(self.features)}")
        elif not default_options:
            found.append(f"features {features} with changed options")
        for required in self.data_options or ():
            name, _, value = required.partition("=")
            if str(data_options.get(name)) != value:
                found.append(f"training images of {data} without {required}")
        if self.classes is not None and random_classes is not None:
            taken = "random" if random_classes else "in-turn"
            if taken != self.classes:
                found.append(f"classes of generated images {taken}, not {self.classes}")
        counts = [
            ("generated images", images, self.images),
            ("training images", training_images, self.training_images),
        ]
        if sampled_training_images is not None:
            wanted = self.sampled_training_images or training_images
            counts.append(("sampled training images", sampled_training_images, wanted))
        return found + [
            f"{actual:,} {what}, not {wanted:,}"
            for what, actual, wanted in counts
            if wanted is not None and actual != wanted
        ]

    def warning(self, deviations: list[str]) -> str:
        """A sentence for readers of scores that deviate."""
        return (
            f"these scores do not follow the protocol {self.name} and cannot be compared with "
            f"published ones: {'; '.join(deviations)}"
        )


def score_name(measure: Measure, *, features: str, images: int, followed: Protocol | None) -> str:
    """`fd-pixels@1500`; `fid`, or `fd-pixels`, where a protocol was followed.

    Args:
        features: name of the features, without namespace.
        followed: the protocol, unless there is none or the score deviates from it.
    """
    if followed is None:
        return f"{measure.name}-{features}@{images}"
    if followed.published_names:
        return measure.published or measure.name
    return f"{measure.name}-{features}"
