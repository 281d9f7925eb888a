"""The conditions under which a score may carry its published name.

A Fréchet distance in Inception's features is FID only over 50,000 samples against the whole
training set: over fewer it is larger for the same samples.
"""

from typing import final

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
    ) -> list[str]:
        """How a score was measured differently; empty where the protocol was followed.

        Args:
            features: full id of the features.
            default_options: whether all options of the features have their defaults.
            training_images: of the data set.
            sampled_training_images: those that the score used, if it can use some; else None.
        """
        found = []
        if features not in self.features:
            found.append(f"features {features}, not {' or '.join(self.features)}")
        elif not default_options:
            found.append(f"features {features} with changed options")
        counts = [
            ("generated images", images, self.images),
            ("training images", training_images, self.training_images),
        ]
        if sampled_training_images is not None:
            required = self.sampled_training_images or training_images
            counts.append(("sampled training images", sampled_training_images, required))
        return found + [
            f"{actual:,} {what}, not {required:,}"
            for what, actual, required in counts
            if required is not None and actual != required
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
