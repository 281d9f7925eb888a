"""Right registrations, and wrong ones: mistakes that have nothing to do with the kind."""

from collections.abc import Iterator
from typing import Any, Final, final

import attrs
import torch

from dddm.errors import DataError
from dddm.interfaces.plugin import (
    Conformance,
    Issue,
    Kind,
    NoOptions,
    RecipeContext,
    WeightFile,
    option,
)
from dddm.support.weights import find_weights
from planted.bug import Bug, bug
from planted.metrics import Charbonnier

WEIGHTS: Final = WeightFile(
    name="a-file-that-is-not-there.bin",
    url="https://example.org/weights.bin",
    size_bytes=10,
    sha256="0" * 64,
)


@attrs.frozen(kw_only=True)
class Options:
    c: float = option(0.01, above=0, help="Where the corner is.")
    words: tuple[str, ...] = option((), help="Some words.")


def twice(c: float) -> float:
    return 2 * c


@attrs.frozen(kw_only=True)
class Doubling:
    c: float = attrs.field(
        default=0.01, converter=twice, metadata={"help": "Twice that.", "bounds": {}}
    )


@attrs.frozen(kw_only=True, eq=False)
class ComparedByIdentity:
    c: float = option(0.01, help="Where the corner is.")


@attrs.define(kw_only=True)
class Changeable:
    c: float = option(0.01, help="Where the corner is.")


@attrs.frozen(kw_only=True)
class Terse:
    c: float = option(0.01, help="c")


@attrs.frozen(kw_only=True)
class Needy:
    c: float = option(help="Where the corner is.")


@attrs.frozen(kw_only=True)
class MadeAnew:
    c: float = option(attrs.Factory(lambda: 0.01), help="Where the corner is.")


@final
class WithOptions(Charbonnier):
    def __init__(self, options: Any) -> None:
        super().__init__(NoOptions())


@final
class TwiceAsMuch(Charbonnier):
    def __init__(self, options: Doubling) -> None:
        super().__init__(NoOptions())


@final
class Compared(Charbonnier):
    def __init__(self, options: Any) -> None:
        super().__init__(NoOptions())


@final
class CanBeChanged(Charbonnier):
    def __init__(self, options: Any) -> None:
        super().__init__(NoOptions())


@final
class Brief(Charbonnier):
    def __init__(self, options: Any) -> None:
        super().__init__(NoOptions())


@final
class Wanting(Charbonnier):
    def __init__(self, options: Any) -> None:
        super().__init__(NoOptions())


@final
class OfAFactory(Charbonnier):
    def __init__(self, options: Any) -> None:
        super().__init__(NoOptions())


@final
class Complaining(Charbonnier):
    def __init__(self, options: Any) -> None:
        super().__init__(NoOptions())


@final
class ComplainingOfNothing(Charbonnier):
    def __init__(self, options: Any) -> None:
        super().__init__(NoOptions())


@final
class NotSummed(Charbonnier):
    pass


class NotFinal(Charbonnier):
    pass


@final
class NoMetric:
    def __init__(self, options: NoOptions) -> None:
        pass


@final
class SetsTheDefaultDtype(Charbonnier):
    def __init__(self, options: NoOptions) -> None:
        super().__init__(options)
        torch.set_default_dtype(torch.float64)


@final
class RightWithWeights(Charbonnier):
    def __init__(self, options: NoOptions) -> None:
        super().__init__(options)
        find_weights(WEIGHTS)


@final
class UndeclaredWeights(Charbonnier):
    def __init__(self, options: NoOptions) -> None:
        super().__init__(options)
        find_weights(WEIGHTS)


@final
class GoesWithoutWeights(Charbonnier):
    pass


@final
class MissesWithoutAWord(Charbonnier):
    def __init__(self, options: NoOptions) -> None:
        super().__init__(options)
        raise FileNotFoundError("no such file")


@final
class MissesWithoutAName(Charbonnier):
    def __init__(self, options: NoOptions) -> None:
        super().__init__(options)
        raise DataError("something is missing")


def complain(options: Options, context: RecipeContext) -> Iterator[Issue]:
    yield Issue(option="c", what="it is never right")


def complain_of_no_option(options: Any, context: RecipeContext) -> Iterator[Issue]:
    yield Issue(option="d", what="there is no such option")


def metric(target: Any, *caught_by: str, **registration: Any) -> Bug:
    return bug(Kind.METRIC, target, *caught_by, **registration)


BUGS: Final[list[Bug]] = [
    metric(
        WithOptions,
        options=Options,
        conformance=Conformance(examples=({"c": 0.1}, {"words": ["a", "ü\n"], "c": 1})),
    ),
    metric(RightWithWeights, weights=(WEIGHTS,)),
    metric(TwiceAsMuch, "options.round-trip", options=Doubling),
    metric(Compared, "options.round-trip", options=ComparedByIdentity),
    metric(CanBeChanged, "options.frozen", options=Changeable),
    metric(Brief, "options.helpful", options=Terse),
    metric(Wanting, "options.read", options=Needy),
    metric(OfAFactory, "options.schema", "options.defaults", options=MadeAnew),
    metric(Complaining, "options.accepted", options=Options, check=complain),
    metric(ComplainingOfNothing, "options.accepted", options=Options, check=complain_of_no_option),
    metric(NotSummed, "component.has-a-summary", summary="m" * 120),
    metric(NotFinal, "component.is-final"),
    metric(NoMetric, "component.builds"),
    metric(SetsTheDefaultDtype, "component.leaves-torch-alone"),
    metric(
        UndeclaredWeights,
        "component.declares-its-weights",
        needs=lambda options: (WEIGHTS,),
    ),
    metric(GoesWithoutWeights, "component.misses-its-weights", weights=(WEIGHTS,)),
    metric(MissesWithoutAWord, "component.misses-its-weights", weights=(WEIGHTS,)),
    metric(MissesWithoutAName, "component.misses-its-weights", weights=(WEIGHTS,)),
]
