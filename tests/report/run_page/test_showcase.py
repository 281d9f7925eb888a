"""Samples in panels, each beside its real images."""

import json
from pathlib import Path

import pytest
import torch
from report_runs import SETS, begin_run, make_recipe, put_samples

from dddm.interfaces.dataset import Split
from dddm.report.run_page.choice import choose_real
from dddm.report.run_page.picture import make_picture
from dddm.report.run_page.showcase import gather_gallery
from dddm.support.pictures import grid
from dddm.train.build import build_split


@pytest.fixture(scope="module")
def split() -> Split:
    """The real digits."""
    return build_split(make_recipe())


def test_panels_follow_the_recipe_and_rise_in_steps(tmp_path: Path, split: Split) -> None:
    """Samplers in the recipe's order, step counts rising, whatever the folders are called."""
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    for sampler, steps in (*SETS, ("by-a-stranger", 3)):
        put_samples(folder, split, sampler=sampler, steps=steps)
    gallery = gather_gallery(recipe, folder=folder, real=split)
    told = [(panel.sampler, [one.steps for one in panel.shown]) for panel in gallery.panels]
    assert told == [("fixed-time", [1, 10]), ("annealed", [10]), ("by-a-stranger", [3])]
    assert (gallery.missing, gallery.damage) == (0, ())
    assert gallery.panels[0].options == ("clamp = true",)
    assert (gallery.panels[0].seed, gallery.panels[0].step) == (7, 12)


def test_sets_of_other_counts_do_not_share_real_images(tmp_path: Path, split: Split) -> None:
    """Each panel's real grid has as many images, of the same classes, as its samples."""
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    put_samples(folder, split, sampler="fixed-time", steps=1, images=120)
    put_samples(folder, split, sampler="fixed-time", steps=10, images=50)
    few, many = sorted(
        gather_gallery(recipe, folder=folder, real=split).panels, key=lambda one: one.count
    )
    assert (few.count, many.count) == (50, 100)
    for panel, columns in ((few, 5), (many, 10)):
        labels = split.labels(torch.arange(len(split)))
        like = torch.arange(10).repeat_interleave(columns)
        index = choose_real(images=len(split), label=labels, like=like, count=len(like))
        assert panel.real == make_picture(grid(split.images(index), columns=columns))


def test_what_is_not_there_is_counted(tmp_path: Path, split: Split) -> None:
    """Three sets are asked for: with one there, two are missing; without real images none show."""
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    put_samples(folder, split, sampler="fixed-time", steps=10)
    gallery = gather_gallery(recipe, folder=folder, real=None)
    assert gallery.missing == 2
    assert gallery.panels[0].real is None


def test_samples_of_another_checkpoint_have_a_panel_of_their_own(
    tmp_path: Path, split: Split
) -> None:
    """One image over the steps is of one network; a seed that is no number costs only the noise."""
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    for steps in (1, 10, 20):
        put_samples(folder, split, sampler="fixed-time", steps=steps)
    for steps, fact in ((10, {"checkpoint": {"step": 99}}), (20, {"seed": ["no", "number"]})):
        manifest = folder.samples / f"fixed-time-{steps}" / "manifest.json"
        told = json.loads(manifest.read_text(encoding="utf-8"))
        manifest.write_text(json.dumps(told | fact), encoding="utf-8")
    panels = gather_gallery(recipe, folder=folder, real=split).panels
    assert [len(panel.shown) for panel in panels] == [1, 1, 1]
    assert all(panel.strip is None for panel in panels)
