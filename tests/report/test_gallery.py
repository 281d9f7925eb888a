"""Which samples are shown, and which real images beside them."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from report_runs import SETS, begin_run, digits, make_recipe, put_progress, put_samples

from dddm.interfaces.dataset import Split
from dddm.report.gallery import gather_gallery, gather_progress, select_real, select_samples
from dddm.support.images import grid
from dddm.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def split() -> Split:
    return digits()


def test_a_row_is_a_class_and_holds_its_first_samples() -> None:
    index, columns, rows = select_samples(images=1500, label=torch.arange(1500) % 10)
    assert (columns, rows) == (10, tuple(range(10)))
    assert torch.equal(index.reshape(10, 10)[3], torch.arange(3, 103, 10))


def test_only_classes_that_were_asked_for_have_rows() -> None:
    label = torch.tensor([8, 3] * 20)
    index, _, rows = select_samples(images=40, label=label)
    assert rows == (3, 8)
    assert torch.equal(label[index], torch.tensor([3] * 10 + [8] * 10))


def test_of_many_classes_ten_at_equal_distances_have_a_row() -> None:
    index, _, rows = select_samples(images=50_000, label=torch.arange(50_000) % 1000)
    assert rows == tuple(range(50, 1000, 100))
    assert torch.equal(index.reshape(10, 10)[2], torch.arange(250, 10_250, 1000))


def test_few_samples_of_a_class_are_shown_as_they_come() -> None:
    for images, classes in ((30, 10), (2000, 1000)):
        index, _, rows = select_samples(images=images, label=torch.arange(images) % classes)
        assert rows == ()
        assert torch.equal(index, torch.arange(min(images, 64)))
    assert torch.equal(select_samples(images=1, label=None)[0], torch.tensor([0]))


labels = st.lists(st.integers(0, 4), min_size=1, max_size=40).map(torch.tensor)


@given(real=labels, like=labels)
def test_real_images_have_the_classes_of_the_samples(
    real: torch.Tensor, like: torch.Tensor
) -> None:
    index = select_real(images=len(real), label=real, like=like, count=len(like))
    assert len(index) == len(like)
    there = torch.isin(like, real)
    assert torch.equal(real[index][there], like[there])


@given(images=st.integers(1, 200), count=st.integers(1, 64))
def test_without_classes_real_images_are_evenly_spaced(images: int, count: int) -> None:
    index = select_real(images=images, label=None, like=None, count=count)
    assert len(index) == count
    assert ((index >= 0) & (index < images)).all()
    if images >= count:
        assert len(set(index.tolist())) == count


def test_panels_follow_the_recipe_and_rise_in_steps(tmp_path: Path, split: Split) -> None:
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    for sampler, steps in (*SETS, ("third-party", 3)):
        put_samples(folder, split, sampler=sampler, steps=steps)
    panels, damage = gather_gallery(recipe, folder=folder, real=split)
    found = [(panel.sampler, [steps for steps, _, _ in panel.pictures]) for panel in panels]
    assert found == [("fixed-time", [1, 10]), ("annealed", [10]), ("third-party", [3])]
    assert damage == []
    assert panels[0].options == ("clamp = true",)
    assert (panels[0].seed, panels[0].step) == (7, 12)


def test_each_panel_has_real_images_of_its_own_classes(tmp_path: Path, split: Split) -> None:
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    put_samples(folder, split, sampler="fixed-time", steps=1, images=120)
    put_samples(folder, split, sampler="fixed-time", steps=10, images=50)
    panels, _ = gather_gallery(recipe, folder=folder, real=split)
    few, many = sorted(panels, key=lambda one: one.count)
    assert (few.count, many.count) == (50, 100)
    for panel, columns in ((few, 5), (many, 10)):
        label = split.labels(torch.arange(len(split)))
        like = torch.arange(10).repeat_interleave(columns)
        index = select_real(images=len(split), label=label, like=like, count=len(like))
        assert panel.real == grid(split.images(index), columns=columns)


def test_samples_of_another_checkpoint_or_seed_have_a_panel_of_their_own(
    tmp_path: Path, split: Split
) -> None:
    recipe = make_recipe()
    folder = begin_run(tmp_path, recipe)
    for steps in (1, 10, 20):
        put_samples(folder, split, sampler="fixed-time", steps=steps)
    for steps, fact in ((10, {"checkpoint": {"step": 99}}), (20, {"seed": 8})):
        manifest = folder.samples / f"fixed-time-{steps}" / "manifest.json"
        facts = json.loads(manifest.read_text(encoding="utf-8"))
        manifest.write_text(json.dumps(facts | fact), encoding="utf-8")
    panels, _ = gather_gallery(recipe, folder=folder, real=None)
    assert [len(panel.pictures) for panel in panels] == [1, 1, 1]
    assert all(panel.over_steps is None and panel.real is None for panel in panels)


def test_grids_from_training_come_in_the_order_of_epochs(tmp_path: Path, split: Split) -> None:
    folder = RunFolder(tmp_path)
    assert gather_progress(folder) == ([], 0)
    put_progress(folder, split, epochs=(100_000, 2))
    (folder.progress / "epoch-later.png").write_bytes(b"")
    (folder.progress / ".epoch-00003.png.part").write_bytes(b"")
    grids, count = gather_progress(folder)
    assert [epochs for epochs, _ in grids] == [2, 100_000]
    assert count == 2
