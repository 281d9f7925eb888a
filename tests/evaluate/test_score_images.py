"""Images that no run of ours drew are scored by the same code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sample_folders import write_samples
from torch import Tensor

from dddm.errors import DataError
from dddm.evaluate.extract import EvaluationContext
from dddm.evaluate.record import ScoreRecord
from dddm.evaluate.score_images import images_at, open_real, score_images
from dddm.generate.storage import Samples
from dddm.interfaces.plugin import Kind, NoOptions
from dddm.recipe.evaluation import read_evaluation
from dddm.recipe.read import read_component
from dddm.registry.catalogue import Catalogue
from dddm.registry.loader import load_catalogue
from dddm.training.events import EventBus
from dddm.training.stopping import StopRequest
from dddm_datasets.digits import Digits


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed images go into a folder of the test's."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def digits() -> Tensor:
    return Digits(NoOptions()).splits()["held-out"].images(torch.arange(40))


def write_pngs(folder: Path, images: Tensor) -> Path:
    folder.mkdir(parents=True)
    for k, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(folder / f"{k:03d}.png")
    return folder


def score(path: Path, against: Path | None, catalogue: Catalogue) -> dict[str, ScoreRecord]:
    """Scores of images at a path by the preset that needs no weights, by measure."""
    context = EvaluationContext(events=EventBus(()), device=torch.device("cpu"), stop=StopRequest())
    use = (
        read_component(Kind.DATASET, "digits", catalogue=catalogue)
        if against is None
        else images_at(against, catalogue=catalogue)
    )
    found = score_images(
        path,
        evaluation=read_evaluation("no-weights", catalogue=catalogue),
        real=open_real(use, context=context),
        catalogue=catalogue,
        context=context,
    )
    return {one.measure.name: one for one in found}


def test_each_way_to_keep_images_gives_the_same(
    tmp_path: Path, digits: Tensor, catalogue: Catalogue
) -> None:
    """PNGs, a file of ADM's layout, and a folder that `dddm sample` wrote."""
    pngs = score(write_pngs(tmp_path / "theirs", digits), None, catalogue)
    np.savez(tmp_path / "theirs.npz", digits.permute(0, 2, 3, 1).numpy())
    facts = {"sampler": "x", "steps": 1, "evaluations": 1, "images": 40}
    samples = Samples(images=digits, label=None, facts=facts)
    write_samples(tmp_path / "drawn", samples)
    others = [score(tmp_path / name, None, catalogue) for name in ("theirs.npz", "drawn")]
    assert list(pngs) == ["fd", "kid", "precision", "recall", "nearest"]
    for other in others:
        assert [one.value for one in other.values()] == [one.value for one in pngs.values()]
    about = pngs["fd"]
    assert (about.sampler, about.steps, about.images) == ("theirs", 0, 40)
    assert about.name == "fd-pixels-8x8@40"
    assert about.provenance["samples"]["path"] == str(tmp_path / "theirs")
    assert about.provenance["trained_with"] is None
    assert about.provenance["reference"]["id"] == "dddm:digits"


def test_a_folder_against_a_folder(tmp_path: Path, digits: Tensor, catalogue: Catalogue) -> None:
    """The same images have no distance, and others have."""
    real = write_pngs(tmp_path / "real", digits)
    same = score(write_pngs(tmp_path / "same", digits), real, catalogue)
    assert same["fd"].value == pytest.approx(0, abs=1e-4)
    assert same["nearest"].value == 0
    other = score(write_pngs(tmp_path / "other", 255 - digits), real, catalogue)
    assert other["fd"].value > 10
    assert other["fd"].reference_images == 40


def test_what_cannot_be_scored(tmp_path: Path, digits: Tensor, catalogue: Catalogue) -> None:
    """Nothing there, no image, one of another size or none, all of another size, two parts."""

    def refused(path: Path, what: str) -> str:
        with pytest.raises(DataError, match=what) as caught:
            score(path, None, catalogue)
        assert caught.value.where
        assert "data.path" not in str(caught.value.remedy)
        return str(caught.value)

    refused(tmp_path / "nowhere", "no images at")
    (tmp_path / "words.txt").write_text("no image")
    refused(tmp_path / "words.txt", "no images at")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "contains no images")
    odd = write_pngs(tmp_path / "odd", digits)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(odd / "zzz.png")
    assert "zzz.png" in refused(odd, "differ in size")
    broken = write_pngs(tmp_path / "broken", digits)
    (broken / "017.png").write_bytes((broken / "017.png").read_bytes()[:40])
    assert "017.png" in refused(broken, "cannot be used")
    large = write_pngs(tmp_path / "large", torch.zeros(9, 1, 16, 16, dtype=torch.uint8))
    assert str(large) in refused(large, "are 1×16×16, the real ones 1×8×8")
    for part in ("train", "test"):
        write_pngs(tmp_path / "parts" / part, digits)
    refused(tmp_path / "parts", "two splits")
    few = write_pngs(tmp_path / "few", digits[:3])
    refused(few, '"precision-recall" needs at least 4 generated')
