"""What a result was made with, and how that differs from what is here."""

from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import write_tiny
from toy_distributions import install, registering

from dddm.recipe.read import read_recipe
from dddm.registry.loader import load_catalogue
from dddm.training.versions import changed_versions, components, mismatch_remedy, versions

OBSERVER = 'Kind.OBSERVER, "eye", target="toy_eye:Eye", summary="."'
METRIC = 'Kind.METRIC, "near", target="toy_eye:Near", summary="."'
MIX = 'Kind.METRIC, "mix", target="toy_eye:Mix", summary=".", options=Mixing'
MIXING = """
from dddm.interfaces.plugin import NestedComponent, nested_component

@frozen(kw_only=True)
class Mixing:
    of: NestedComponent = nested_component(Kind.METRIC, help="What it mixes.")
"""


def test_held_components_and_observers_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every component of the recipe, also one within another, with its package and version."""
    install(
        tmp_path,
        "dddm-toy",
        version="1.2",
        toy_versions=("toy", registering(OBSERVER, METRIC, MIX) + MIXING),
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = write_tiny(
        tmp_path,
        ('use = "pseudo-huber"\nc = 0.0043', 'use = "toy:mix"\n[metric.of]\nuse = "toy:near"'),
        ("[[sample]]", '[[observe]]\nuse = "toy:eye"\n\n[[sample]]'),
    )
    recipe = read_recipe(path, catalogue=load_catalogue())
    ours = f"dddm {version('dddm')}"
    assert components(recipe.components) == {
        **{f"dddm:{name}": ours for name in ("digits", "directly-denoising", "vp", "adm", "ram")},
        **{f"dddm:{name}": ours for name in ("adam", "constant", "fixed-time", "pixels")},
        **{f"dddm:{name}": ours for name in ("fd", "nearest")},
        "toy:mix": "dddm-toy 1.2",
        "toy:near": "dddm-toy 1.2",
        "toy:eye": "dddm-toy 1.2",
    }
    assert versions(recipe.components)["dddm-toy"] == "1.2"


def test_what_both_name_in_another_version_has_changed() -> None:
    """A package that only one of them names is no other version."""
    before = {"torch": "2.6", "dddm-toy": "1.2", "gone": "1"}
    now = {"torch": "2.6", "dddm-toy": "1.3", "new": "2"}
    assert changed_versions(before, now) == ["dddm-toy 1.2 → 1.3"]


def test_what_to_do_about_weights_that_no_longer_fit() -> None:
    """Versions that differ are named, saved and present; where none does, it is the code."""
    now = versions([])
    said = mismatch_remedy({**now, "torch": "1.0"}, [])
    assert (
        f"go back to the versions it was saved with (saved → here: torch 1.0 → {now['torch']})"
        in said
    )
    assert "code has changed since" not in said
    assert "code has changed since" in mismatch_remedy(now, [])
