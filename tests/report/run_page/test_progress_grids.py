"""Grids from during training."""

from pathlib import Path

from report_runs import make_recipe, put_progress

from dddm.report.run_page.progress_grids import gather_progress
from dddm.train.build import build_split
from dddm.train.run_folder import RunFolder


def test_grids_come_in_the_order_of_epochs(tmp_path: Path) -> None:
    """Epoch 100,000 follows epoch 2, and files of other names are passed over."""
    folder = RunFolder(tmp_path)
    put_progress(folder, build_split(make_recipe()), epochs=(100_000, 2))
    (folder.progress / "epoch-later.png").write_bytes(b"")
    (folder.progress / ".epoch-00003.png.part").write_bytes(b"")
    grids, count = gather_progress(folder)
    assert [one.epochs for one in grids] == [2, 100_000]
    assert count == 2


def test_without_grids_of_training_there_are_none(tmp_path: Path) -> None:
    """A folder that was never made is no error."""
    assert gather_progress(RunFolder(tmp_path)) == ((), 0)
