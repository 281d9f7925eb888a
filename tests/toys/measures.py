"""What scores measure, in few words, for tests that need no plugin."""

from typing import Final

from dddm.interfaces.info import Better, Detail, Measure

FD: Final = Measure(
    name="fd",
    words="Fréchet distance",
    better="less",
    explained="compares mean and covariance",
    heading="FD",
    published="fid",
)
KID: Final = Measure(
    name="kid",
    words="Kernel distance",
    better="less",
    explained="compares all moments up to the third",
    heading="kid·10³",
    times=1000,
)
NEAREST: Final = Measure(
    name="nearest",
    words="Nearest",
    better="neither",
    explained="median distance to the nearest training image; copies have 0",
    details=(
        Detail(
            name="close_share",
            words="close",
            explained="share of images that are very near",
            percent=True,
        ),
    ),
)
_SHORT: Final = {
    "precision": "prec.",
    "density": "dens.",
    "coverage": "cover.",
    "authenticity": "auth.",
}


def measure_of(name: str, better: Better = "more") -> Measure:
    """One of these three, or another that is explained by its name."""
    known = {one.name: one for one in (FD, KID, NEAREST)}
    other = Measure(
        name=name,
        words=name.capitalize(),
        better=better,
        explained=f"what {name} is",
        heading=_SHORT.get(name),
    )
    return known.get(name, other)
