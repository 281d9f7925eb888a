"""What the check of ADM's options refuses, and that the constructor refuses the same."""

import time
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from dddm.errors import RecipeError
from dddm.interfaces.info import DatasetInfo, ImageShape
from dddm.interfaces.plugin import Issue, RecipeContext
from dddm_backbones.adm import Adm
from dddm_backbones.options import AdmOptions, check_adm


def options(**changes: Any) -> AdmOptions:
    """Options that fit 8×8 images, changed."""
    small: dict[str, Any] = {
        "channels": 8,
        "multipliers": (1, 2),
        "blocks": 1,
        "attention": (4,),
        "head_width": 4,
    }
    return AdmOptions(**(small | changes))


def facts(*, height: int = 8, width: int = 8, classes: int = 0) -> DatasetInfo:
    """Facts of grey images."""
    return DatasetInfo(
        shape=ImageShape(channels=1, height=height, width=width),
        train_images=10,
        classes=tuple("abcdefghij"[:classes]),
    )


def issues(of: AdmOptions, data: DatasetInfo | None) -> list[Issue]:
    """All that the check says."""
    return list(check_adm(of, RecipeContext(data=data, tables={})))


@frozen(kw_only=True)
class Case:
    """Options that do not fit, and what is to be said of them."""

    of: AdmOptions
    data: DatasetInfo
    issue: Issue
    needs_data: bool = True


CASES = {
    "no stage": Case(
        of=options(multipliers=()),
        data=facts(),
        issue=Issue(option="multipliers", what="multipliers is empty", remedy="write at least [1]"),
        needs_data=False,
    ),
    "height not to be halved": Case(
        of=options(multipliers=(1, 1, 1), attention=(8,)),
        data=facts(height=6),
        issue=Issue(
            option="multipliers",
            what="6×8 pixels cannot be halved as often as 3 stages need",
            remedy="use no more stages than 2",
        ),
    ),
    "width not to be halved": Case(
        of=options(),
        data=facts(width=7),
        issue=Issue(
            option="multipliers",
            what="8×7 pixels cannot be halved as often as 2 stages need",
            remedy="use no more stages than 1",
        ),
    ),
    "attention at no stage": Case(
        of=options(attention=(4, 5, 16)),
        data=facts(),
        issue=Issue(
            option="attention",
            what="no stage is 5 or 16 pixels high",
            remedy="the stages are 8, 4 pixels high",
        ),
    ),
    "heads that do not divide": Case(
        of=options(heads=3),
        data=facts(),
        issue=Issue(
            option="heads",
            what="8 channels cannot be divided among 3 attention heads",
            remedy="use heads = 1 or 2 or 4 or 8, which fits every stage",
        ),
        needs_data=False,
    ),
    "a head width that does not divide": Case(
        of=options(channels=11, multipliers=(1,), attention=(8,)),
        data=facts(),
        issue=Issue(
            option="head_width",
            what="11 channels cannot be divided among 2 attention heads",
            remedy="use head_width = 1 or 11, which fits every stage",
        ),
        needs_data=False,
    ),
    "classes that are not there": Case(
        of=options(classes=True),
        data=facts(),
        issue=Issue(
            option="classes", what="the data have no classes", remedy="write classes = false"
        ),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_misfit_is_named_with_its_remedy(case: Case) -> None:
    """The issue points to the option, says what is wrong and what to write instead."""
    assert case.issue in issues(case.of, case.data)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_where_the_images_are_unknown_only_the_options_themselves_are_checked(case: Case) -> None:
    """Without facts of the data, what depends on them is not complained of."""
    assert issues(case.of, None) == ([] if case.needs_data else issues(case.of, case.data))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_network_refuses_what_the_check_refuses(case: Case) -> None:
    """Built without a recipe, the network names the same option, reason and remedy."""
    with pytest.raises(RecipeError) as refused:
        Adm(case.of, shape=case.data.shape, classes=len(case.data.classes))
    first = issues(case.of, case.data)[0]
    assert first.what in refused.value.what
    assert refused.value.where == f"backbone.{first.option}"
    assert refused.value.remedy == first.remedy


@pytest.mark.parametrize("estimate", ["attention", "cross-attention"])
def test_an_estimate_that_could_not_enter_is_refused(estimate: str) -> None:
    """Without attention x̂ would be ignored; the remedy names the lowest stage where it is known."""
    shut = options(attention=(), estimate=estimate)
    what = "without attention the estimate cannot enter"
    (known,) = issues(shut, facts())
    assert (known.option, known.what) == ("attention", what)
    assert known.remedy == 'write attention = [4], or estimate = "concatenation"'
    (unknown,) = issues(shut, None)
    assert (unknown.option, unknown.what) == ("attention", what)
    assert unknown.remedy is not None
    assert 'estimate = "concatenation"' in unknown.remedy
    with pytest.raises(RecipeError, match="the estimate cannot enter"):
        Adm(shut, shape=facts().shape, classes=0)


@pytest.mark.parametrize("estimate", ["concatenation", "transformer", "none"])
def test_other_forms_need_no_attention(estimate: str) -> None:
    """A transformer is in the middle of the network, whatever heights are listed."""
    assert issues(options(attention=(), estimate=estimate), facts()) == []


def test_heads_share_the_width_of_a_transformer_not_that_of_its_stage() -> None:
    """Four times the channels is what heads must divide, wherever the block stands."""
    assert issues(options(heads=32, estimate="transformer"), facts()) == []
    (issue,) = issues(options(heads=3, estimate="transformer"), facts())
    assert issue == Issue(
        option="heads",
        what="32 channels cannot be divided among 3 attention heads",
        remedy="use heads = 1 or 2 or 4 or 8 or 16 or 32, which fits every stage",
    )


def test_all_complaints_come_at_once() -> None:
    """A recipe with four mistakes is told of the four."""
    wrong = options(heads=3, attention=(5,), classes=True)
    assert [issue.option for issue in issues(wrong, facts())] == [
        "heads",
        "heads",
        "attention",
        "classes",
    ]


@pytest.mark.parametrize(
    ("channels", "heads", "expected"), [(64, None, 1), (32, None, 1), (192, None, 3), (192, 4, 4)]
)
def test_heads_come_from_their_width_unless_they_are_given(
    channels: int, heads: int | None, expected: int
) -> None:
    """64 channels to a head; a narrower stage has one; a given number holds everywhere."""
    of = AdmOptions(channels=64, multipliers=(1,), blocks=1, heads=heads)
    assert of.heads_at(channels) == expected


@given(
    height=st.integers(1, 32),
    width=st.integers(1, 32),
    stages=st.integers(1, 4),
    attention=st.lists(st.integers(1, 16), max_size=2).map(tuple),
    classes=st.booleans(),
    heads=st.sampled_from([None, 1, 2, 3]),
)
def test_the_check_and_the_network_agree(
    height: int,
    width: int,
    stages: int,
    attention: tuple[int, ...],
    heads: int | None,
    *,
    classes: bool,
) -> None:
    """A network can be built exactly where the check has nothing to say."""
    of = options(
        channels=2, multipliers=(1,) * stages, attention=attention, classes=classes, heads=heads
    )
    data = facts(height=height, width=width, classes=3)
    if issues(of, data):
        with pytest.raises(RecipeError):
            Adm(of, shape=data.shape, classes=3)
    else:
        Adm(of, shape=data.shape, classes=3)


def test_any_number_of_channels_is_checked_at_once() -> None:
    """The remedy names the first divisors, and does not try a trillion."""
    start = time.monotonic()
    large = options(channels=10**12, multipliers=(1,), attention=(8,), head_width=None, heads=7)
    (issue, *_) = issues(large, None)
    assert time.monotonic() - start < 1
    assert "use heads = 1 or 2 or 4 or 5" in str(issue.remedy)
