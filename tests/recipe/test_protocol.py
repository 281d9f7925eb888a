"""A score has its published name exactly where it was taken on what the protocol says."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from measures import measure_of

from dddm.errors import RecipeError
from dddm.recipe.protocol import Protocol, score_name
from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue

PAPER = Protocol(
    name="paper",
    features=("dddm:inception",),
    images=50_000,
    training_images=1_000_000,
    sampled_training_images=10_000,
    data_options=("resize=adm", "size=64"),
    classes="random",
    published_names=True,
)
CONDITIONS: dict[str, Any] = {
    "features": "dddm:inception",
    "default_options": True,
    "images": 50_000,
    "training_images": 1_000_000,
    "sampled_training_images": None,
    "data": "dddm:folder",
    "data_options": {"resize": "adm", "size": 64, "path": "images"},
    "random_classes": True,
}
SAMPLED = {**CONDITIONS, "sampled_training_images": 10_000}


@pytest.mark.parametrize(
    ("measure", "published"),
    [("fd", "fid"), ("is", "is"), ("kid", "kid"), ("precision", "precision"), ("recall", "recall")],
)
def test_names(measure: str, published: str) -> None:
    """Published where the protocol is followed and says so; else with features and count."""
    ours = Protocol(name="ours", features=("a:x",), images=10)
    expected = {PAPER: published, ours: f"{measure}-x", None: f"{measure}-x@10"}
    for followed, name in expected.items():
        found = score_name(measure_of(measure), features="x", images=10, followed=followed)
        assert found == name


def test_where_it_is_followed() -> None:
    assert PAPER.deviations(**CONDITIONS) == []
    assert PAPER.deviations(**SAMPLED) == []
    assert PAPER.deviations(**{**CONDITIONS, "random_classes": None}) == []
    anything = evolve(PAPER, data_options=None, classes=None)
    assert anything.deviations(**{**CONDITIONS, "data_options": {}, "random_classes": False}) == []


@pytest.mark.parametrize(
    ("change", "deviation"),
    [
        ({"images": 49_999}, "49,999 generated images, not 50,000"),
        ({"training_images": 50_000}, "50,000 training images, not 1,000,000"),
        ({"sampled_training_images": 50_000}, "50,000 sampled training images, not 10,000"),
        ({"features": "other:inception"}, "features other:inception, not dddm:inception"),
        ({"default_options": False}, "features dddm:inception with changed options"),
        (
            {"data": "dddm:zip", "data_options": {"size": 64}},
            "training images of dddm:zip without resize=adm",
        ),
        ({"random_classes": False}, "classes of generated images in-turn, not random"),
    ],
)
def test_where_it_is_not(change: dict[str, Any], deviation: str) -> None:
    assert PAPER.deviations(**{**SAMPLED, **change}) == [deviation]
    warning = PAPER.warning([deviation])
    assert "the protocol paper" in warning
    assert warning.endswith(deviation)


def test_an_option_without_a_value_is_refused(tmp_path: Path) -> None:
    """At the line of the recipe."""
    path = tmp_path / "mine.toml"
    protocol = '[evaluate.protocol]\nname = "p"\nfeatures = ["dddm:pixels"]\nimages = 5\n'
    options = 'data_options = ["size=64", "resize"]\n'
    head = 'format = 2\n[data]\nuse = "digits"\n[evaluate]\nfeatures = "pixels"\n'
    path.write_text(head + protocol + options, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"mine\.toml:10:\d+: data_options: 'resize' does not"):
        read_recipe(path, catalogue=load_catalogue())


def test_without_a_number_all_training_images_are_required() -> None:
    everywhere = evolve(PAPER, sampled_training_images=None)
    assert everywhere.deviations(**SAMPLED)
    assert not everywhere.deviations(**{**SAMPLED, "sampled_training_images": 1_000_000})
