"""Features that are learned on the training images: good, made once, and resumed exactly."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dddm.data.in_memory_split import InMemorySplit
from dddm.interfaces.data_report import no_progress
from dddm.interfaces.dataset import Split
from dddm.interfaces.plugin import NoOptions
from dddm_datasets.digits import Digits
from dddm_objectives import learned
from dddm_objectives.learned import LearnedFeatures, contrastive_loss, shifted, view

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("DDDM_CACHE", str(tmp_path))
    return tmp_path / "learned-features"


@pytest.fixture(scope="module")
def digits() -> Split:
    return Digits(NoOptions()).splits()["train"]


def some(split: Split, count: int, *, classes: bool = True) -> InMemorySplit:
    """The first images of a split."""
    index = torch.arange(count)
    return InMemorySplit(
        all_images=split.images(index),
        all_labels=split.labels(index) if classes else None,
        class_names=split.classes if classes else (),
    )


def learn(
    split: Split,
    *,
    epochs: int,
    flips: bool = False,
    progress: Callable[[str, int, int], None] = no_progress,
) -> tuple[LearnedFeatures, str | None]:
    features = LearnedFeatures(epochs=epochs)
    return features, features.learn(images=split, flips=flips, device=CPU, progress=progress)


def refuse_to_train(*_: object, **__: object) -> None:
    raise AssertionError("it trains again")


def provenance(cache: Path) -> dict[str, object]:
    (path,) = cache.glob("*.json")
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_classes_are_learned(digits: Split, cache: Path) -> None:
    """Five passes name nearly every held-out digit; the file says what it was made from."""
    _, sentence = learn(digits, epochs=5)
    said = provenance(cache)
    assert said["images"] == digits.manifest
    assert said["epochs"] == 5
    assert said["torch"] == torch.__version__
    assert float(str(said["accuracy"])) > 0.9
    assert float(str(said["chance"])) < 0.2
    assert sentence is not None
    assert "named the class of 9" in sentence
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".safetensors"]


def test_without_classes_views_are_found(digits: Split, cache: Path) -> None:
    """Among 60 held-out digits the other view of one: far above 1 in 60."""
    features, sentence = learn(some(digits, 600, classes=False), epochs=8)
    said = provenance(cache)
    assert float(str(said["chance"])) == pytest.approx(1 / 60)
    assert float(str(said["accuracy"])) > 10 / 60
    assert sentence is not None
    assert "the other view of" in sentence
    assert [one.shape[1:] for one in features.maps(torch.zeros(2, 1, 8, 8))] == [
        (32, 8, 8),
        (64, 4, 4),
        (128, 2, 2),
    ]


def test_it_is_learned_once(digits: Split, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run reads it; other images, passes or flips are other features."""
    few = some(digits, 100)
    first, _ = learn(few, epochs=1)
    for others, epochs, flips in ((some(digits, 101), 1, False), (few, 2, False), (few, 1, True)):
        learn(others, epochs=epochs, flips=flips)
    assert len(list(cache.glob("*.safetensors"))) == 4
    monkeypatch.setattr(learned, "_train", refuse_to_train)
    again, sentence = learn(few, epochs=1)
    assert sentence is None
    images = torch.rand(3, 1, 8, 8)
    for one, other in zip(first.maps(images), again.maps(images), strict=True):
        assert torch.equal(one, other)


def test_a_damaged_file_is_made_again(digits: Split, cache: Path) -> None:
    few = some(digits, 100)
    learn(few, epochs=1)
    (path,) = cache.glob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    learn(few, epochs=1)
    assert path.read_bytes() == whole


class Stopped(Exception):
    """Asked to stop."""


@pytest.mark.parametrize("classes", [True, False])
def test_stopped_and_resumed_is_the_same(digits: Split, cache: Path, *, classes: bool) -> None:
    """After any pass, bit for bit; what was done is not done again."""
    few, images = some(digits, 200, classes=classes), torch.rand(3, 1, 8, 8)
    expected, _ = learn(few, epochs=3)
    for path in cache.iterdir():
        path.unlink()
    seen = []
    for at in (1, 2):

        def progress(what: str, done: int, total: int, *, at: int = at) -> None:
            seen.append((what, done, total))
            if done == at * 180:
                raise Stopped

        with pytest.raises(Stopped):
            learn(few, epochs=3, progress=progress)
        assert [path.name.split(".", 1)[1] for path in cache.iterdir()] == ["partial.safetensors"]
    found, _ = learn(few, epochs=3)
    assert [done for _, done, _ in seen] == [0, 180, 180, 360]
    assert {(what, total) for what, _, total in seen} == {("learning features", 540)}
    for one, other in zip(expected.maps(images), found.maps(images), strict=True):
        assert torch.equal(one, other)


def test_nothing_is_drawn_from_the_global_generator(digits: Split) -> None:
    before = torch.get_rng_state()
    learn(some(digits, 50), epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_its_maps_carry_a_gradient_to_one_image(digits: Split) -> None:
    """In eval mode: an image's maps do not depend on the others, and the weights stay."""
    features, _ = learn(some(digits, 50), epochs=1)
    images = torch.rand(3, 1, 8, 8, requires_grad=True)
    maps = features.maps(images)
    for one, alone in zip(maps, features.maps(images[:1]), strict=True):
        torch.testing.assert_close(one[:1], alone)
    (gradient,) = torch.autograd.grad(maps[-1][0].sum(), images)
    assert bool(gradient[0].any())
    assert not bool(gradient[1:].any())


def test_before_learning_there_are_none() -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        LearnedFeatures(epochs=1).maps(torch.zeros(1, 1, 8, 8))


def test_a_handful_of_images_is_enough(digits: Split) -> None:
    """Then none is held out, and nothing is said of accuracy."""
    _, sentence = learn(some(digits, 5), epochs=1)
    assert sentence is not None
    assert "held-out" not in sentence


def test_shifts_are_windows_of_the_padded_image() -> None:
    """Each image by its own shift and mirror, every one of them within an eighth of the size."""
    images = torch.arange(400 * 64, dtype=torch.float32).reshape(400, 1, 8, 8)
    padded = nn.functional.pad(images, (1, 1, 1, 1), mode="reflect")
    found = shifted(images, flips=True, generator=torch.Generator().manual_seed(0))
    seen = set()
    for k, image in enumerate(found):
        matches = [
            (down, right, mirrored)
            for down in range(3)
            for right in range(3)
            for mirrored in (False, True)
            if torch.equal(
                image.flip(2) if mirrored else image,
                padded[k, :, down : down + 8, right : right + 8],
            )
        ]
        seen.update(matches)
        assert len(matches) == 1
    assert len(seen) == 18
    straight = shifted(images, flips=False, generator=torch.Generator().manual_seed(0))
    assert bool((straight[..., 4] > straight[..., 3]).all())  # pixels rise from left to right


def test_a_view_is_a_part_of_the_image() -> None:
    """Of a ramp it is a ramp again, less steep by the part's share, and never outside the image."""
    ramp = torch.linspace(-1, 1, 64).expand(200, 1, 64, 64).contiguous()
    found = view(ramp, flips=False, generator=torch.Generator().manual_seed(0))
    slope = (found[:, 0, 32, 40] - found[:, 0, 32, 24]) / (ramp[0, 0, 32, 40] - ramp[0, 0, 32, 24])
    assert 0.5 * 0.6 - 0.01 < float(slope.min()) < float(slope.max()) < 1.4 + 0.01
    rows = found[:, 0, 8:56].std(dim=1).amax()
    assert float(rows) < 1e-4  # a ramp from left to right is none from top to bottom
    mirrored = view(ramp, flips=True, generator=torch.Generator().manual_seed(0))
    share = float((mirrored[:, 0, 32, 40] < mirrored[:, 0, 32, 24]).float().mean())
    assert 0.4 < share < 0.6


def test_the_contrastive_loss_is_its_formula() -> None:
    """SimCLR's equation 1, one pair after the other, in float64."""
    torch.manual_seed(0)
    first, second = torch.randn(2, 4, 6, dtype=torch.float64)
    every = [*first, *second]

    def similarity(a: Tensor, b: Tensor) -> Tensor:
        cosine: Tensor = torch.dot(a, b) / (a.norm() * b.norm())
        return cosine / 0.2

    losses = []
    for i in range(8):
        other = (i + 4) % 8
        below = sum(similarity(every[i], every[k]).exp() for k in range(8) if k != i)
        losses.append(-(similarity(every[i], every[other]).exp() / below).log())
    torch.testing.assert_close(contrastive_loss(first, second), torch.stack(losses).mean())
