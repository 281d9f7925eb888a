"""A look through images counts them, finds equal ones, and names all that is wrong."""

from collections.abc import Iterator, Mapping
from typing import Any, final

from attrs import frozen
from pack_sources import ToySource

from dddm.data.examine import examine_source
from dddm.data.pack_source import Block, Chunk, PackPlan, PackSource
from dddm.interfaces.data_report import Problem, no_progress


@final
@frozen(kw_only=True)
class Repeating(PackSource):
    """The toy's images, of which some are replaced by the first."""

    toy: ToySource
    equal: frozenset[tuple[str, int]]

    def is_there(self) -> bool:
        return True

    def identity(self) -> Mapping[str, Any]:
        return {}

    def facts(self) -> Mapping[str, Any]:
        return {}

    def plan(self) -> PackPlan:
        return self.toy.plan()

    def decode(self, chunk: Chunk) -> Iterator[Block | Problem]:
        for block in self.toy.decode(chunk):
            if isinstance(block, Block) and (block.split, int(block.rows[0])) in self.equal:
                block.images[:] = 7
            yield block


def test_counts_images_and_classes() -> None:
    """Each split's images and each class's by its name; nothing is wrong."""
    found = examine_source(ToySource(), workers=1, progress=no_progress)
    assert found.shape == "3×2×5"
    assert found.splits["train"].images == 10
    assert found.splits["train"].classes == {"even": 5, "odd": 5}
    assert found.splits["held-out"].classes == {"even": 2, "odd": 2}
    assert (found.problems, found.duplicates) == ((), ())
    assert found.notes == ("decoded: 14", "planned: 1")


def test_names_every_broken_image() -> None:
    """Not the first alone, and the others are counted."""
    found = examine_source(ToySource(broken=(1, 8)), workers=1, progress=no_progress)
    assert [problem.where for problem in found.problems] == ["row 1", "row 8"]
    assert found.splits["train"].images == 8


def test_finds_images_that_are_equal() -> None:
    """Within a split and across splits, in one group."""
    equal = frozenset({("train", 2), ("train", 9), ("held-out", 1)})
    source = Repeating(toy=ToySource(), equal=equal)
    found = examine_source(source, workers=1, progress=no_progress)
    assert found.duplicates == (("held-out image 1", "train image 2", "train image 9"),)


def test_counts_every_image_once_for_the_eye() -> None:
    """What is shown rises to the number of images, broken ones among them."""
    shown: list[tuple[int, int]] = []
    examine_source(
        ToySource(broken=(1,)),
        workers=1,
        progress=lambda what, done, total: shown.append((done, total)),
    )
    assert shown == [(done, 14) for done in range(1, 15)]
